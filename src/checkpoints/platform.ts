/**
 * Files on disk, which only Node has. The rest of this room runs in browsers too, so it finds them through this register;
 * `tfjs-mamba/node` fills it with nodeFiles.ts.
 */
import type {ByteFile} from './bytes';
import type {ByteCache} from './cache';
import type {CheckpointSource} from './source';
import type {CheckpointTarget} from './target';

export interface FilePlatform {
  /** A folder or a file; undefined if there is nothing at that path. */
  openSource(path: string): Promise<CheckpointSource | undefined>;
  /** One file; undefined if there is none at that path. */
  openFile(path: string): Promise<ByteFile | undefined>;
  /** Writes one file, which appears when it is whole. */
  writeFile(path: string, bytes: Uint8Array): Promise<void>;
  /** A folder, which is made if it is not there. */
  openTarget(path: string): Promise<CheckpointTarget>;
  /** A folder that keeps what was downloaded; a default one if none is named. */
  openCache(path?: string): Promise<ByteCache>;
  /** The Hub as Hugging Face's own library meets it here. */
  readonly hub?: HubPlatform;
}

/** What the environment says of the Hub, and the folder in which its models are kept for all programs. */
export interface HubPlatform {
  settings(): HubSettings;
  /** A model in that folder, into which is fetched what is not there yet. */
  open(model: HubModel): CheckpointSource;
}

export interface HubSettings {
  /** Its address, without a slash at the end. */
  endpoint: string;
  token?: string;
  /** Whether nothing may be fetched. */
  offline: boolean;
}

/** A model on the Hub, and how it is fetched. */
export interface HubModel {
  /** `owner/name` */
  id: string;
  /** Branch, tag or commit. */
  revision: string;
  token?: string;
  signal?: AbortSignal;
  timeout?: number;
}

let registered: FilePlatform | undefined;

/** Makes paths usable as sources, targets and caches. */
export function registerFilePlatform(platform: FilePlatform): void {
  registered = platform;
}

export function filePlatform(): FilePlatform | undefined {
  return registered;
}
