/**
 * Models of the Hub in the folder of Hugging Face's own library, from a server with the Hub's routes: large files are on another host, to
 * which the token must not go.
 */
import {createHash} from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {readCheckpoint} from '../../src/checkpoints/load';
import {nodeFiles} from '../../src/checkpoints/nodeFiles';
import {registerFilePlatform} from '../../src/checkpoints/platform';
import {clock} from '../../src/checkpoints/retry';
import type {SourceOptions} from '../../src/checkpoints/source';
import {loadTokenizer} from '../../src/lm/tokenizers';
import {Loopback, cutAfter, honest, largerFiles, type Answer} from './loopback';
import type {Files} from './memoryFiles';

const commit = 'c0ffee'.repeat(7).slice(0, 40);
const variables = ['HF_ENDPOINT', 'HF_HUB_CACHE', 'HF_HOME', 'HF_TOKEN', 'HF_HUB_OFFLINE'];

const bytesOf = (content: Files[string]) => (typeof content === 'string' ? new TextEncoder().encode(content) : content);
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
/** The name of a blob: of what git stores for small files, and of the bytes for large ones. */
const digest = (name: string, bytes: Uint8Array) =>
  name.endsWith('.safetensors')
    ? sha256(bytes)
    : createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');

describe('the cache of the Hub', () => {
  const environment = Object.fromEntries(variables.map((name) => [name, process.env[name]]));
  let hub: Loopback;
  let store: Loopback;
  let root: string;
  let files: Files;
  const model = () => join(root, 'models--some--mamba');
  const snapshot = (file: string) => join(model(), 'snapshots', commit, file);
  const blobs = () => readdirSync(join(model(), 'blobs')).sort();

  /** As the Hub answers: what it knows of a file, and for a large one where it lies. */
  const route: Answer = (exchange) => {
    const {request, response, name, body} = exchange;
    const isLarge = name.endsWith('.safetensors');
    const headers = {
      'x-repo-commit': commit,
      etag: `W/"${digest(name, body!)}"`,
      ...(isLarge && {'x-linked-etag': `"${digest(name, body!)}"`, 'x-linked-size': String(body!.length)}),
    };
    if (isLarge) response.writeHead(302, {...headers, location: `${store.origin}/${name}?signature=1`}).end();
    else if (request.method === 'HEAD') response.writeHead(200, headers).end();
    else honest({headers})(exchange);
  };

  beforeAll(async () => {
    registerFilePlatform(nodeFiles);
    [hub, store] = [await Loopback.start(), await Loopback.start()];
  });
  afterAll(async () => {
    await Promise.all([hub.stop(), store.stop()]);
    for (const [name, value] of Object.entries(environment)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'tfjs-mamba-hub-'));
    files = largerFiles();
    for (const server of [hub, store]) server.reset(files);
    hub.answer = route;
    hub.missing = ({response}) =>
      response.writeHead(404, {'x-error-code': 'EntryNotFound', 'x-repo-commit': commit}).end();
    for (const name of variables) delete process.env[name];
    Object.assign(process.env, {HF_ENDPOINT: `${hub.origin}/`, HF_HUB_CACHE: root, HF_TOKEN: 'hf_secret'});
    spyOn(clock, 'sleep').and.resolveTo();
  });
  afterEach(() => rmSync(root, {recursive: true}));

  /** The sum of all weights, as good a check as any that all are there. */
  async function load(options: SourceOptions = {}): Promise<number> {
    let sum = 0;
    for await (const {values} of (await readCheckpoint('some/mamba', {cache: true, ...options})).weights()) {
      sum += values.reduce((a, b) => a + b, 0);
    }
    return sum;
  }

  it("has Hugging Face's layout, and the token goes to the Hub alone", async () => {
    await load();
    const names = ['config.json', 'model.safetensors'];
    expect(readFileSync(join(model(), 'refs/main'), 'utf8')).toBe(commit);
    expect(readdirSync(join(model(), 'snapshots', commit)).sort()).toEqual(names);
    expect(blobs()).toEqual(names.map((name) => digest(name, bytesOf(files[name]))).sort());
    for (const name of names) {
      expect(lstatSync(snapshot(name)).isSymbolicLink()).toBeTrue();
      expect(readlinkSync(snapshot(name))).toBe(`../../blobs/${digest(name, bytesOf(files[name]))}`);
      expect(new Uint8Array(readFileSync(snapshot(name)))).toEqual(new Uint8Array(bytesOf(files[name])));
    }
    expect(hub.seen).toContain('Bearer hf_secret');
    expect(store.log.length).toBeGreaterThan(0);
    expect(store.seen).not.toMatch(/authorization|hf_secret/i);
    expect(hub.seen).toMatch(new RegExp(`/resolve/main/config.json[^]*/resolve/${commit}/model.safetensors`));
  });

  it('fetches nothing twice, and takes what the library itself has kept', async () => {
    const first = await load();
    store.reset(files);
    hub.log.length = 0;
    expect(await load()).toBe(first);
    expect(store.log).toEqual([]);
    expect(hub.log.filter((entry) => entry.startsWith('model.safetensors')).length).toBe(1); // which version it is now
  });

  it('gives what is kept without a network, by revision or commit, and says what is missing offline', async () => {
    const first = await load();
    process.env['HF_HUB_OFFLINE'] = '1';
    hub.log.length = 0;
    for (const revision of [undefined, 'main', commit]) expect(await load({revision})).toBe(first);
    expect(await load({cache: undefined})).toBe(first);
    await expectAsync(load({revision: 'other'})).toBeRejectedWithError(/ has no config\.json; HF_HUB_OFFLINE is set, and it is not in the cache$/); // prettier-ignore
    expect(hub.log).toEqual([]);
    delete process.env['HF_HUB_OFFLINE'];
    hub.answer = ({response}) => response.destroy();
    hub.missing = hub.answer;
    expect(await load()).toBe(first);
  });

  it('goes on with a download that broke off, in whatever process', async () => {
    const whole = await load();
    rmSync(model(), {recursive: true});
    hub.reset(files);
    hub.answer = route;
    // The store is cut off for good after the first 100,000 bytes.
    store.reset(files);
    store.answer = (exchange) => {
      if ((exchange.range?.end ?? Infinity) > 100_000 && exchange.range!.start > 0) exchange.response.destroy();
      else honest()(exchange);
    };
    await expectAsync(load()).toBeRejected();
    const [name] = blobs().filter((blob) => blob.endsWith('.incomplete'));
    expect(name).toBe(`${digest('model.safetensors', bytesOf(files['model.safetensors']))}.tfjs-mamba.incomplete`);
    expect(existsSync(snapshot('model.safetensors'))).toBeFalse();
    const had = lstatSync(join(model(), 'blobs', name)).size;
    expect(had).toBeGreaterThan(0);
    store.reset(files);
    expect(await load()).toBe(whole);
    const starts = store.log.filter((entry) => entry.includes('-')).map((entry) => Number(/ (\d+)-/.exec(entry)![1]));
    expect(starts.filter((start) => start > 0 && start < had)).toEqual([]);
    expect(blobs().some((blob) => blob.endsWith('.incomplete'))).toBeFalse();
    // Single connections that break are gone on with at once.
    rmSync(model(), {recursive: true});
    store.reset(files);
    store.answer = (exchange) => honest(exchange.count % 2 === 1 ? {send: cutAfter(30_000)} : {})(exchange);
    expect(await load()).toBe(whole);
  });

  it('keeps nothing whose digest is wrong', async () => {
    const damaged = {...files, 'model.safetensors': new Uint8Array(bytesOf(files['model.safetensors']))};
    damaged['model.safetensors'][200_000] ^= 1;
    store.reset(damaged);
    await expectAsync(load()).toBeRejectedWithError(/its digest differs\), and has been removed; load it again$/);
    expect(blobs().length).toBe(1);
    store.reset(files);
    await expectAsync(load()).toBeResolved();
    // A part that an earlier process left may be damaged as well.
    const blob = digest('model.safetensors', bytesOf(files['model.safetensors']));
    rmSync(join(model(), 'blobs', blob));
    writeFileSync(join(model(), 'blobs', `${blob}.tfjs-mamba.incomplete`), new Uint8Array(1000));
    await expectAsync(load()).toBeRejectedWithError(/its digest differs|safetensors/);
  });

  it('says why the Hub refuses', async () => {
    const cases: [number, string | undefined, RegExp][] = [
      [401, 'RepoNotFound', /config\.json: the server answered 401 .*; it may be private, gated, or not there at all; HF_TOKEN/],
      [403, 'GatedRepo', /; it is gated: its page on the Hub says how to get access$/],
      [404, 'RevisionNotFound', /; there is no such revision$/],
      [404, 'EntryNotFound', / has no config\.json$/],
    ]; // prettier-ignore
    for (const [status, problem, message] of cases) {
      hub.answer = ({response}) =>
        response.writeHead(status, problem === undefined ? {} : {'x-error-code': problem}).end();
      await expectAsync(load()).withContext(String(problem)).toBeRejectedWithError(message);
    }
    hub.answer = honest();
    await expectAsync(load()).toBeRejectedWithError(/the server tells no commit and no etag, as the Hub does; is HF_ENDPOINT right\?$/); // prettier-ignore
    expect(existsSync(model())).toBeFalse();
  });

  it('is asked with the token of the options, or the one that was saved, also where nothing is kept', async () => {
    await load({token: 'hf_other', cache: false});
    expect(hub.seen).toContain('Bearer hf_other');
    expect(store.seen).not.toContain('hf_other');
    expect(existsSync(model())).toBeFalse();
    delete process.env['HF_TOKEN'];
    process.env['HF_HOME'] = root;
    writeFileSync(join(root, 'token'), 'hf_saved\n');
    await load();
    expect(hub.seen).toContain('Bearer hf_saved');
  });

  it('keeps a tokenizer that is loaded by itself in the same folder, by revision and offline, and its token from the other host', async () => {
    const name = 'tokenizer.json';
    // Some repositories have tokenizers large enough for the store.
    files = {...files, [name]: JSON.stringify({type: 'character', characters: ['a', 'b']})};
    for (const server of [hub, store]) server.reset(files);
    hub.answer = (exchange) => {
      const {response, name: asked} = exchange;
      if (asked !== name) return route(exchange);
      const location = `${store.origin}/${name}?signature=1`;
      const headers = {'x-repo-commit': commit, 'x-linked-etag': `"${sha256(bytesOf(files[name]))}"`, location};
      response.writeHead(302, headers).end();
    };
    const ids = async (options: SourceOptions) => (await loadTokenizer('some/mamba', options)).encode('ba');

    expect(await ids({cache: true})).toEqual([1, 0]);
    expect(hub.seen).toContain(`/some/mamba/resolve/main/${name}`);
    expect(hub.seen).toContain('Bearer hf_secret');
    expect(store.log.length).toBeGreaterThan(0);
    expect(store.seen).not.toMatch(/authorization|hf_secret/i);
    expect(readlinkSync(snapshot(name))).toBe(`../../blobs/${sha256(bytesOf(files[name]))}`);

    // The model that is fetched next joins it, and it is not fetched again.
    await load();
    store.reset(files);
    expect(await ids({cache: true})).toEqual([1, 0]);
    expect(store.log).toEqual([]);
    expect(readdirSync(join(model(), 'snapshots', commit)).sort()).toEqual(['config.json', 'model.safetensors', name]);

    process.env['HF_HUB_OFFLINE'] = '1';
    hub.log.length = 0;
    for (const revision of [undefined, 'main', commit]) expect(await ids({revision})).toEqual([1, 0]);
    await expectAsync(ids({revision: 'other'})).toBeRejectedWithError(/^loadTokenizer: .*\/some\/mamba\/resolve\/other\/ has no tokenizer\.json; HF_HUB_OFFLINE is set, and it is not in the cache$/); // prettier-ignore
    expect(hub.log).toEqual([]);

    // Without the cache it is another way to the same file.
    delete process.env['HF_HUB_OFFLINE'];
    expect(await ids({cache: false, revision: 'next', token: 'hf_other'})).toEqual([1, 0]);
    expect(hub.seen).toMatch(new RegExp(`/some/mamba/resolve/next/${name}[^]*Bearer hf_other`));
    expect(store.log.length).toBeGreaterThan(0);
    expect(store.seen).not.toMatch(/authorization|hf_/i);
    expect(existsSync(join(model(), 'refs/next'))).toBeFalse();
  });
});
