/** What the headers of an answer say of the file: its version, its length, the part that is sent. */

/** What distinguishes a file from others that have been or will be at its address. */
export interface FileVersion {
  /** The entity tag without its mark of weakness. */
  tag?: string;
  weak: boolean;
  modified?: string;
}

/** undefined if the server tells nothing that would show a change. */
export function fileVersion(headers: Headers): FileVersion | undefined {
  const [, weak, tag] = /^(W\/)?(.+)$/.exec(headers.get('etag') ?? '') ?? [];
  const modified = headers.get('last-modified') ?? undefined;
  return tag === undefined && modified === undefined ? undefined : {tag, weak: weak !== undefined, modified};
}

/**
 * Whether two answers are of one version of a file whose length is the same. Servers behind a balancer, or that compress on
 * the way, mark one tag as weak or strong in turn; a weak one says less, so the date has to agree as well.
 */
export function sameVersion(a: FileVersion | undefined, b: FileVersion | undefined): boolean {
  if (a === undefined || b === undefined || a.tag !== b.tag) return false;
  const strong = a.tag !== undefined && !a.weak && !b.weak;
  return strong || a.modified === b.modified;
}

export interface ContentRange {
  start: number;
  end: number;
  /** Of the whole file. */
  size: number;
}

/** The part of the file that an answer says it has; a compressed one has no part of the file that could be used. */
export function contentRange(headers: Headers): ContentRange | undefined {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(headers.get('content-range') ?? '');
  if (!match || headers.has('content-encoding')) return undefined;
  const [start, last, size] = match.slice(1).map(Number);
  return start <= last && last < size ? {start, end: last + 1, size} : undefined;
}

/** The length of the body, where it is not that of a compressed form. */
export function statedLength(headers: Headers): number | undefined {
  const length = headers.get('content-length') ?? '';
  return /^\d{1,15}$/.test(length) && !headers.has('content-encoding') ? Number(length) : undefined;
}

/** Servers of single-page applications send a page for every address they do not know. No file of a checkpoint is one. */
export function isPage(headers: Headers): boolean {
  return /^\s*(text\/html|application\/xhtml\+xml)\s*(;|$)/i.test(headers.get('content-type') ?? '');
}

/** Milliseconds that the server asks to wait, which it gives in seconds or as a date. */
export function retryAfter(headers: Headers): number | undefined {
  const value = headers.get('retry-after') ?? '';
  const milliseconds = /^\d+$/.test(value) ? 1000 * Number(value) : Date.parse(value) - Date.now();
  return milliseconds > 0 ? milliseconds : undefined;
}
