/**
 * The demo as a static folder, demo/dist, that any host serves: `npm run demo:build`. It is made of the built package, as a user's page
 * would be, and brings the text models of models/ that are in the repository.
 */
import {cpSync, existsSync, readdirSync} from 'node:fs';
import {join} from 'node:path';
import {defineConfig} from 'vite';

const demo = import.meta.dirname;
const models = join(demo, '../models');
const isTextModel = (/** @type {string} */ name) =>
  ['config.json', 'model.safetensors', 'tokenizer.json'].every((file) => existsSync(join(models, name, file)));
const names = readdirSync(models).filter(isTextModel);

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
        for (const name of names) cpSync(join(models, name), join(demo, 'dist/models', name), {recursive: true});
      },
    },
  ],
});
