/**
 * The small trained models that come with the package, each a folder of its own in `models/`. Node only, as in a page nothing says where
 * the package lies.
 */
import {existsSync} from 'node:fs';
import {readdir} from 'node:fs/promises';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';

/** From dist/checkpoints as from src/checkpoints. */
const models = fileURLToPath(new URL('../../models', import.meta.url));

/**
 * The folder of a model that is named `tfjs-mamba/<model>`; undefined where the name is another.
 *
 * @throws Error that lists the models, if there is none of that name.
 */
export async function zooFolder(source: string): Promise<string | undefined> {
  const [, name] = /^tfjs-mamba\/([\w.-]+)$/.exec(source) ?? [];
  if (name === undefined) return undefined;
  const holdsModel = (folder: string) => existsSync(join(models, folder, 'config.json'));
  const known = existsSync(models) ? (await readdir(models)).filter(holdsModel).sort() : [];
  if (known.includes(name)) return join(models, name);
  throw new Error(
    `there is no model ${source}; with the package come ${known.map((model) => `tfjs-mamba/${model}`).join(', ')}`,
  );
}
