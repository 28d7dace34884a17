#!/usr/bin/env bash
# @huggingface/tokenizers 0.2.0 (JavaScript) and tokenizers 0.23.2 (Python), one tokenizer.json: the pre-tokenizer `Split` gives other
# pieces in two of its settings, without a word.
#   invert: true, behavior Isolated, on "a1b":   Python keeps all of the text, JavaScript only what the pattern matches.
#   pattern {String: "-"}, behavior Removed, on "a-b": Python removes the separator, JavaScript keeps it as a piece (with a Regex "-" it
#   removes it).
# Surprising, because both read the same file format of the same maker, and a model that is fed other ids answers worse, not with an error.
# Needs node, npm, python3 and pip.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @huggingface/tokenizers@0.2.0
python3 -m pip install --quiet --disable-pip-version-check --target python --no-deps tokenizers==0.23.2
cat >cases.json <<'JSON'
[
  {"text": "a1b", "split": {"type": "Split", "pattern": {"Regex": "[0-9]"}, "behavior": "Isolated", "invert": true}},
  {"text": "a1b", "split": {"type": "Split", "pattern": {"Regex": "[0-9]"}, "behavior": "Isolated", "invert": false}},
  {"text": "a-b", "split": {"type": "Split", "pattern": {"String": "-"}, "behavior": "Removed", "invert": false}},
  {"text": "a-b", "split": {"type": "Split", "pattern": {"Regex": "-"}, "behavior": "Removed", "invert": false}}
]
JSON
cat >base.json <<'JSON'
{
  "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null, "post_processor": null, "decoder": null,
  "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "a": 1, "1": 2, "b": 3, "-": 4}, "unk_token": "[UNK]"}
}
JSON
cat >run.mjs <<'JS'
import {readFileSync} from 'node:fs';
import {Tokenizer} from '@huggingface/tokenizers';
const read = (file) => JSON.parse(readFileSync(file, 'utf8'));
const pieces = read('cases.json').map(({text, split}) => new Tokenizer({...read('base.json'), pre_tokenizer: split}, {}).encode(text).tokens);
console.log(JSON.stringify(pieces));
JS
cat >run.py <<'PY'
import json
from tokenizers import Tokenizer
base = json.load(open('base.json'))
pieces = [Tokenizer.from_str(json.dumps({**base, 'pre_tokenizer': c['split']})).encode(c['text']).tokens for c in json.load(open('cases.json'))]
print(json.dumps(pieces, separators=(',', ':')))
PY
javascript=$(node run.mjs)
python=$(PYTHONPATH=python python3 run.py)
printf 'JavaScript: %s\nPython:     %s\n' "$javascript" "$python"
[ "$javascript" = '[["1"],["a","1","b"],["a","-","b"],["a","b"]]' ] && [ "$python" = '[["a","1","b"],["a","1","b"],["a","b"],["a","b"]]' ] || {
  echo 'this has changed'
  exit 1
}
