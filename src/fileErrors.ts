/** Errors of the file system, of which Node tells a code and a path, as errors of the function that a user called. */

const reasons: Record<string, string> = {
  EEXIST: 'a file is in its way',
  ENOTDIR: 'a file is in its way',
  EISDIR: 'a folder is in its way',
  EACCES: 'that is not permitted',
  EPERM: 'that is not permitted',
  EROFS: 'nothing can be written there',
};

/** What a system call has against a path, in words; other errors as they are. */
export function blocked(
  op: string,
  name: string,
  path: string,
  expected: string,
  error: Error & {code?: string},
): Error {
  const reason = reasons[error.code ?? ''];
  if (reason === undefined) return error;
  return new Error(`${op}: ${name} must be ${expected}, or a place for one, but at ${path} ${reason}`, {cause: error});
}
