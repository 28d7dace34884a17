/** What the linter looks for: mistakes, imports that leave their room, tests that do not test. Prettier sees to the form. */
import js from '@eslint/js';
import {defineConfig, globalIgnores} from 'eslint/config';
import tseslint from 'typescript-eslint';
import {importCheck} from './eslint.rooms.js';

export default defineConfig(
  globalIgnores(['custom-ops/wasm/', '**/dist/', 'docs/', '.cache/', 'test/fixtures/']),
  js.configs.recommended,
  tseslint.configs.recommended,
  {
    linterOptions: {reportUnusedDisableDirectives: 'error'},
    rules: {
      eqeqeq: 'error',
      'max-lines': ['error', 450],
      'no-console': ['error', {allow: ['warn', 'error']}],
      'no-warning-comments': ['error', {terms: ['todo', 'fixme', 'xxx']}],
      'object-shorthand': 'error',
      'prefer-const': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
    },
  },
  {
    files: ['**/*.ts'],
    languageOptions: {parserOptions: {projectService: true, tsconfigRootDir: import.meta.dirname}},
    rules: {
      // TypeScript itself knows the globals.
      'no-undef': 'off',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-unnecessary-type-assertion': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', {considerDefaultExhaustiveForUnions: true}],
    },
  },
  importCheck(import.meta.dirname),
  {
    files: ['test/**/*.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...['fit', 'fdescribe', 'xit', 'xdescribe', 'pending'].map((name) => ({name, message: 'Every spec runs.'})),
      ],
    },
  },
  {
    files: ['**/*.js'],
    languageOptions: {globals: {console: 'readonly', document: 'readonly', process: 'readonly', URL: 'readonly'}},
  },
  {
    // Programs for a terminal.
    files: ['scripts/**', 'bench/**', 'examples/**', 'models/**', 'test/support/**', 'test/native/**'],
    rules: {'no-console': 'off'},
  },
);
