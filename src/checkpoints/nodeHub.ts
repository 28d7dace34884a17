/**
 * Models of the Hub in the folder that Hugging Face's Python library keeps them in, so that each is fetched once for all programs:
 *
 *     models--owner--name/refs/main                         the commit that the branch was at
 *     models--owner--name/blobs/<etag>                      contents, named by their SHA-256 (large files) or as git names them
 *     models--owner--name/snapshots/<commit>/config.json    links to blobs
 *
 * Node only. Reference: huggingface_hub's `file_download.py`, `_hf_hub_download_to_cache_dir`.
 */
import {readFileSync} from 'node:fs';
import {copyFile, mkdir, readFile, rename, stat, symlink, writeFile} from 'node:fs/promises';
import {homedir} from 'node:os';
import {dirname, join, relative} from 'node:path';
import type {ByteFile, OnBytes} from './bytes';
import {RefusedError} from './endpoint';
import {openHttpFile} from './http';
import {HubFile} from './nodeHubFile';
import type {HubModel, HubPlatform, HubSettings} from './platform';
import {Retries, TransientError} from './retry';
import type {CheckpointSource} from './source';
import {Watch} from './watch';

/** How the system's own files are opened. */
type OpenLocal = (path: string, onBytes?: OnBytes) => Promise<ByteFile | undefined>;

export function nodeHub(openLocal: OpenLocal): HubPlatform {
  return {settings, open: (model) => hubSource(model, openLocal)};
}

/** What the environment says, by the names that Hugging Face's library reads. */
function settings(): HubSettings {
  const {HF_ENDPOINT = 'https://huggingface.co', HF_TOKEN, HF_HUB_OFFLINE = ''} = process.env;
  const token = HF_TOKEN ?? savedToken();
  return {
    endpoint: HF_ENDPOINT.replace(/\/+$/, ''),
    token: token || undefined,
    offline: /^(1|on|yes|true)$/i.test(HF_HUB_OFFLINE),
  };
}

function home(): string {
  const {HF_HOME, XDG_CACHE_HOME} = process.env;
  return HF_HOME ?? join(XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'huggingface');
}

/** What `hf auth login` has saved. */
function savedToken(): string | undefined {
  try {
    return readFileSync(process.env['HF_TOKEN_PATH'] ?? join(home(), 'token'), 'utf8').trim();
  } catch {
    return undefined;
  }
}

function hubSource(model: HubModel, openLocal: OpenLocal): CheckpointSource {
  const {id, revision} = model;
  const {endpoint, offline} = settings();
  const root = process.env['HF_HUB_CACHE'] ?? join(home(), 'hub');
  const folder = join(root, `models--${id.replaceAll('/', '--')}`);
  const name = `${endpoint}/${id}/resolve/${revision}/`;
  let commit: string | undefined;
  let cutOff = offline;
  let doubt = offline ? 'HF_HUB_OFFLINE is set, and it is not in the cache' : undefined;

  const local = async (file: string, onBytes?: OnBytes) => {
    commit ??= await keptCommit(folder, revision);
    return commit === undefined ? undefined : openLocal(join(folder, 'snapshots', commit, file), onBytes);
  };
  return {
    name,
    get doubt() {
      return doubt;
    },
    async open(file, onBytes) {
      if (cutOff) return local(file, onBytes);
      // After the first file all are of the same commit.
      const address = `${endpoint}/${id}/resolve/${encodeURIComponent(commit ?? revision)}/${encodeURIComponent(file)}`;
      let head: Head | undefined;
      try {
        head = await askFor(address, model);
      } catch (error) {
        const found = error instanceof TransientError ? await local(file, onBytes) : undefined;
        if (!found) throw error;
        // No network: what is kept will do, as it does for Hugging Face's library.
        cutOff = true;
        doubt = `the Hub cannot be reached (${(error as Error).message}), and it is not in the cache`;
        return found;
      }
      if (head === undefined) return undefined;
      if (commit === undefined && head.commit !== revision) await write(join(folder, 'refs', revision), head.commit);
      commit ??= head.commit;
      const pointer = join(folder, 'snapshots', commit, file);
      const blob = join(folder, 'blobs', head.etag);
      if (!(await isThere(blob))) {
        const remote = await openHttpFile(address, model);
        if (remote === undefined) return undefined;
        await mkdir(dirname(blob), {recursive: true});
        return HubFile.open({remote, blob, etag: head.etag, onBytes, onWhole: () => link(blob, pointer)});
      }
      await link(blob, pointer);
      return openLocal(pointer, onBytes);
    },
  };
}

/** What the Hub says of a file before it sends it. */
interface Head {
  commit: string;
  etag: string;
}

/** @returns undefined if there is no such file. */
async function askFor(address: string, {token, signal, timeout = 30_000}: HubModel): Promise<Head | undefined> {
  const retries = new Retries(signal);
  for (let url = address; ;) {
    const watch = new Watch(url, timeout, signal);
    try {
      const headers = {'Accept-Encoding': 'identity', ...(token !== undefined && {Authorization: `Bearer ${token}`})};
      const asked = fetch(url, {method: 'HEAD', redirect: 'manual', headers, signal: watch.signal}).catch((error) => {
        throw watch.failure(error, 'could not be fetched');
      });
      const response = await watch.over(asked);
      const location = response.headers.get('location');
      // A model that was renamed, on the same host; where the contents lie is none of this request's business.
      if (location?.startsWith('/') && !response.headers.has('x-linked-etag')) url = new URL(location, url).href;
      else return readHead(address, response);
    } catch (error) {
      await retries.after(error);
    } finally {
      watch.end();
    }
  }
}

function readHead(address: string, {status, statusText, headers}: Response): Head | undefined {
  const said = `${address}: the server answered ${status} ${statusText}`.trim();
  if (status === 429 || status >= 500) throw new TransientError(said);
  const problem = headers.get('x-error-code');
  if (status === 404 && (problem === null || problem === 'EntryNotFound')) return undefined;
  if (status >= 400) {
    const hint = {
      RevisionNotFound: 'there is no such revision',
      GatedRepo: 'it is gated: its page on the Hub says how to get access',
    };
    const why =
      hint[problem as keyof typeof hint] ??
      'it may be private, gated, or not there at all; HF_TOKEN, or the option token, is the key';
    throw new RefusedError(`${said}; ${why}`, status);
  }
  const commit = headers.get('x-repo-commit') ?? '';
  const etag = (headers.get('x-linked-etag') ?? headers.get('etag') ?? '').replace(/^W\//, '').replaceAll('"', '');
  // Both become names of files.
  if (!/^[\da-f]{40}$/.test(commit) || !/^[\w-]+$/.test(etag)) {
    throw new Error(`${address}: the server tells no commit and no etag, as the Hub does; is HF_ENDPOINT right?`);
  }
  return {commit, etag};
}

/** The commit that a revision was at when it was last asked for. */
async function keptCommit(folder: string, revision: string): Promise<string | undefined> {
  if (/^[\da-f]{40}$/.test(revision)) return revision;
  const text = await readFile(join(folder, 'refs', revision), 'utf8').catch(() => '');
  return /^[\da-f]{40}$/.test(text.trim()) ? text.trim() : undefined;
}

/** Puts a blob under its name in a snapshot. */
async function link(blob: string, pointer: string): Promise<void> {
  if (await isThere(pointer)) return;
  await mkdir(dirname(pointer), {recursive: true});
  await symlink(relative(dirname(pointer), blob), pointer).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code === 'EEXIST') return; // another process was first
    await copyFile(blob, pointer); // Windows lets few make links
  });
}

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), {recursive: true});
  const unfinished = `${path}.${process.pid}.tfjs-mamba`;
  await writeFile(unfinished, text);
  await rename(unfinished, path);
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
