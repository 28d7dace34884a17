/** Commands that remember: generation that goes on from a file, and conversations; and what shells complete. */
import {execFileSync} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {applyChatTemplate} from '../../src/lm/chat';
import {fromPretrained, type ChatMessage} from '../../src/node';
import {call} from './call';
import {letters, smallFolder} from './smallFolder';

const template =
  "{% for m in messages %}<{{ m['role'] }}|{{ m['content'] }}>\n{% endfor %}{% if add_generation_prompt %}<assistant|{% endif %}";

describe('commands that remember', () => {
  let root: string;
  let plain: string;
  let taught: string;
  const at = (name: string) => join(root, name);
  const greedy = ['--temp', '0', '--max-tokens', '5'];

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'tfjs-mamba-talk-'));
    plain = await smallFolder(at('plain'));
    taught = await smallFolder(at('taught'), {...letters, config: {chat_template: template, eos_token: '>'}});
  });
  afterAll(() => rmSync(root, {recursive: true}));

  it('go on from a state as if they had never ended', async () => {
    const generate = async (prompt: string, ...more: string[]) =>
      (await call(['generate', '--model', plain, '--temp', '0', '--json', ...more, prompt])).events()[0]['text'] as string; // prettier-ignore
    const whole = await generate('abc', '--max-tokens', '10');
    const state = ['--state', at('state.safetensors'), '--max-tokens', '5'];
    const parts = [await generate('abc', ...state), await generate('', ...state)];
    expect(parts.join('')).toBe(whole);
    const next = await generate('xyz', ...state);
    expect(next).toBe(await generate(`abc${whole}xyz`, '--max-tokens', '5'));
    const other = await smallFolder(at('other'), {...letters});
    writeFileSync(at('no state'), 'x');
    const wrong = await call(['generate', '--model', other, '--state', at('no state'), 'a']);
    expect([wrong.code, wrong.err]).toEqual([1, jasmine.stringMatching(/^tfjs-mamba generate: .*no state/)]);
  });

  it('talk as the template has it, and read nothing twice', async () => {
    const turns = ['hello', 'and you'];
    const {code, events} = await call(['chat', '--model', taught, '--json', '--system-prompt', 'be short', ...greedy], {stdin: turns.join('\n')}); // prettier-ignore
    expect(code).toBe(0);
    const model = await fromPretrained(taught);
    const messages: ChatMessage[] = [{role: 'system', content: 'be short'}];
    let read = 0;
    for (const [i, line] of turns.entries()) {
      messages.push({role: 'user', content: line});
      const text = await applyChatTemplate(model.tokenizer!, messages, {addGenerationPrompt: true});
      let content = '';
      const stopTokens = letters.encode('>');
      for await (const part of model.generate(text, {temperature: 0, maxNewTokens: 5, stopTokens}))
        content += part.text;
      expect(events()[i]).toEqual(
        jasmine.objectContaining({role: 'assistant', content, promptTokens: text.length - read}),
      );
      read = text.length + content.length;
      messages.push({role: 'assistant', content});
    }
    model.dispose();
  });

  it('go on with a conversation of another day, with or without a template', async () => {
    for (const [model, name] of [
      [plain, 'plain'],
      [taught, 'taught'],
    ]) {
      const chat = (file: string, ...lines: string[]) =>
        call(['chat', '--model', model, '--json', '--state', at(file), ...greedy], {stdin: lines.join('\n')});
      const whole = await chat(`${name}-whole`, 'hello', 'and you');
      const parts = [await chat(`${name}-parts`, 'hello'), await chat(`${name}-parts`, 'and you')];
      const said = (of: (typeof parts)[number]) =>
        of.events().map(({content, promptTokens}) => ({content, promptTokens}));
      expect(parts.flatMap(said)).withContext(name).toEqual(said(whole));
    }
    const other = await call(['chat', '--model', taught, '--state', at('taught-parts'), '--system-prompt', 'x'], {
      stdin: 'a',
    });
    expect([other.code, other.err]).toEqual([
      2,
      jasmine.stringMatching(/--system-prompt is another than the conversation/),
    ]);
    writeFileSync(at('taught-parts.json'), '[1]');
    const broken = await call(['chat', '--model', taught, '--state', at('taught-parts')], {stdin: 'a'});
    expect([broken.code, broken.err]).toEqual([
      1,
      jasmine.stringMatching(/taught-parts\.json must hold what was said/),
    ]);
  });

  it('continue what is written where there is no template, and say so', async () => {
    const {code, out, err} = await call(['chat', '--model', plain, ...greedy], {stdin: 'hello\n\nyou'});
    expect(code).toBe(0);
    expect(err).toMatch(/^.*plain on cpu, without a chat template: it continues what you write\n$/);
    const model = await fromPretrained(plain);
    let text = '';
    const answers: string[] = [];
    for (const line of ['hello', 'you']) {
      text += `${line}\n`;
      let content = '';
      for await (const part of model.generate(text, {temperature: 0, maxNewTokens: 5})) content += part.text;
      text += content;
      answers.push(`${content}\n`);
    }
    model.dispose();
    expect(out).toBe(answers.join(''));
    const refused = await call(['chat', '--model', plain, '--system-prompt', 'x'], {stdin: 'a'});
    expect([refused.code, refused.err]).toEqual([
      2,
      jasmine.stringMatching(/--system-prompt needs a model with a chat template/),
    ]);
  });
});

describe('applyChatTemplate', () => {
  it('takes the default of several templates and the special tokens, and says what is wrong', async () => {
    const config = {
      bos_token: '<s>',
      eos_token: {content: '</s>'},
      chat_template: [
        {name: 'tools', template: 'no'},
        {name: 'default', template: '{{ bos_token }}{{ messages[0].content }}{{ eos_token }}'},
      ],
    };
    expect(await applyChatTemplate({config}, [{role: 'user', content: 'hi'}])).toBe('<s>hi</s>');
    const refusing = {chat_template: "{{ raise_exception('roles must alternate') }}"};
    await expectAsync(applyChatTemplate({config: refusing}, [])).toBeRejectedWithError(/^applyChatTemplate: .*roles must alternate/); // prettier-ignore
    await expectAsync(applyChatTemplate({}, [])).toBeRejectedWithError(/has no chat_template$/);
  });
});

describe('completion', () => {
  it('gives bash the commands, the flags of one and the values of a flag', async () => {
    const {code, out} = await call(['completion', 'bash']);
    expect(code).toBe(0);
    const complete = (...words: string[]) => {
      const program = `${out}\nCOMP_WORDS=(tfjs-mamba ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}; _tfjs_mamba; echo "\${COMPREPLY[@]}"`;
      return execFileSync('bash', ['-c', program], {encoding: 'utf8'}).trim().split(' ');
    };
    expect(complete('fi')).toEqual(['finetune']);
    expect(complete('')).toContain('setup-native');
    expect(complete('finetune', '--num')).toEqual(['--num-layers']);
    expect(complete('finetune', '--fine-tune-type', 'd')).toEqual(['dora']);
    expect(complete('generate', 'x')).toEqual(['']); // files, by the shell itself
  });

  it('gives zsh and fish the same', async () => {
    const {out: zsh} = await call(['completion', 'zsh']);
    expect(zsh).toContain('bashcompinit');
    const {out: fish} = await call(['completion', 'fish']);
    expect(fish).toContain("-n '__fish_seen_subcommand_from finetune' -l fine-tune-type -r -f -a 'lora dora full'");
    expect(fish.split('\n').every((line) => line === '' || line.startsWith('complete -c tfjs-mamba '))).toBeTrue();
  });
});
