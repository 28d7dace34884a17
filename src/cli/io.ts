/** Where a command reads and writes, so that a spec can run it in its own process and look at what came out. */
export interface Io {
  /** What was asked for. */
  out(text: string): void;
  /** Progress, remarks and errors. */
  err(text: string): void;
  /** Whether `err` is a terminal, in which a line can be written over itself. */
  interactive: boolean;
  stdin: AsyncIterable<Uint8Array | string> & {isTTY?: boolean};
  /** Is aborted by Ctrl-C. */
  signal: AbortSignal;
}

/** What is wrong with how a command was called: told in one line, and the process ends with 2. */
export class UsageError extends Error {}

/** A word of a command line, as a shell takes it. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A size in words. */
export function tellBytes(bytes: number): string {
  if (bytes < 1e5) return `${(bytes / 1e3).toPrecision(3)} kB`;
  return bytes < 1e8 ? `${(bytes / 1e6).toPrecision(3)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

/** A line that is written over itself in a terminal; elsewhere only its last form is, if it is to stay. */
export class StatusLine {
  private open = false;

  constructor(private readonly io: Io) {}

  show(text: string): void {
    if (!this.io.interactive) return;
    this.io.err(`\r\x1b[K${text}`);
    this.open = true;
  }

  /** Takes the line away. */
  end(): void {
    if (this.open) this.io.err('\r\x1b[K');
    this.open = false;
  }
}

/** The lines of standard input as they come, until its end or Ctrl-C. */
export async function* stdinLines(io: Io): AsyncGenerator<string> {
  const chunks = io.stdin[Symbol.asyncIterator]();
  const stopped = new Promise<{done: true; value: undefined}>((resolve) => {
    io.signal.addEventListener('abort', () => resolve({done: true, value: undefined}), {once: true});
  });
  const decoder = new TextDecoder();
  let rest = '';
  for (;;) {
    const {done, value} = await Promise.race([chunks.next(), stopped]);
    if (done) break;
    const lines = (rest + (typeof value === 'string' ? value : decoder.decode(value, {stream: true}))).split('\n');
    rest = lines.pop()!;
    for (const line of lines) yield line.replace(/\r$/, '');
  }
  if (rest !== '' && !io.signal.aborted) yield rest;
}

/** All of standard input as text. */
export async function readStdin(io: Io): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of io.stdin) text += typeof chunk === 'string' ? chunk : decoder.decode(chunk, {stream: true});
  return text + decoder.decode();
}
