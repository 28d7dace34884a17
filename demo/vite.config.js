/**
 * The demo as a static folder, demo/dist, that any host serves: `npm run demo:build`. It is made of the built package, as a user's page
 * would be, and brings the models of models/ that are in the repository and have a text, or the one task of the needle.
 */
import {cpSync, existsSync, readdirSync, readFileSync} from 'node:fs';
import {join, normalize} from 'node:path';
import {defineConfig} from 'vite';

const demo = import.meta.dirname;
const models = join(demo, '../models');
const files = ['config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];
const has = (/** @type {string} */ name, /** @type {string} */ file) => existsSync(join(models, name, file));
/** A folder with a text model is in the list as soon as it is there; of those without texts, the needle can be hidden in one. */
const isShown = (/** @type {string} */ name) =>
  has(name, 'model.safetensors') && (has(name, 'tokenizer.json') || name === 'induction-heads');
const names = readdirSync(models)
  .filter(isShown)
  .sort((a, b) => Number(has(b, 'tokenizer.json')) - Number(has(a, 'tokenizer.json')));

export default defineConfig({
  root: demo,
  base: './',
  define: {MODELS: JSON.stringify(names)},
  build: {outDir: 'dist', emptyOutDir: true, chunkSizeWarningLimit: 4000, assetsInlineLimit: 0},
  plugins: [
    {
      name: 'models',
      apply: 'build',
      closeBundle() {
        for (const name of names) {
          for (const file of files.filter((file) => has(name, file)))
            cpSync(join(models, name, file), join(demo, 'dist/models', name, file));
        }
      },
    },
    {
      name: 'models while developing',
      apply: 'serve',
      configureServer({middlewares}) {
        middlewares.use('/models', (request, response, next) => {
          const path = normalize((request.url ?? '').split('?')[0])
            .split('/')
            .slice(1);
          if (!names.includes(path[0]) || !files.includes(path[1]) || !has(path[0], path[1])) return next();
          return void response.end(readFileSync(join(models, path[0], path[1])));
        });
      },
    },
  ],
});
