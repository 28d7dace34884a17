/** Addresses as they may be shown: messages end up in logs and in public questions. */

/** An address, or any text with addresses in it, without user names, passwords and queries, in which signatures are. */
export function withoutSecrets(text: string): string {
  return text.replace(
    /(\b[a-z][a-z0-9+.-]*:\/\/)([^\s/?#]*@)?([^\s?#]*)(\?[^\s#]*)?/gi,
    (_, scheme, _user, path, query) => [scheme, path, query === undefined ? '' : '?…'].join(''),
  );
}
