/** What the build leaves out of shaders (scripts/shortShaders.js). That what remains runs is shown by test/tooling/page.spec.ts. */
import {parseAst} from 'rollup/parseAst';
import {shortenTemplates} from '../../scripts/shortShaders.js';

const shorten = (code: string) => shortenTemplates(code, parseAst, {isWgsl: false, isOp: false});

describe('shaders as they are built', () => {
  it('lose comments, indentation and spaces, and no line', () => {
    const code = 'const a = `\n  let x = 1 - -b - (c - d); // one\n    // two\n    ${b}\n  y(); // ${c} three\n`;';
    expect(shorten(code)).toBe('const a = `\nlet x=1 - -b -(c-d);\n\n${b}\ny();//${c} three\n`;');
  });

  it('keep the words of a single line, which may be an error, and what the preprocessor of GLSL needs', () => {
    const code = 'f(`a: b, ${c} - d`, `\n  #define A (1)\n  x = A;`);';
    expect(shorten(code)).toBe('f(`a: b, ${c} - d`, `\n#define A (1)\nx=A;`);');
  });

  it('have statements in one line, whose ends of lines follow the template, but not in front of the preprocessor or of values', () => {
    const code = 'f(`\n  a();\n  if (b) {\n    c();\n  }\n  #define A\n  x = d +\n    e;\n  ${f}\n`); g();';
    expect(shorten(code)).toBe('f(`\na();if(b){c();}\n#define A\nx=d+\ne;\n${f}\n`\n\n\n); g();');
    const ofOp = (code: string) => shortenTemplates(code, parseAst, {isWgsl: true, isOp: true});
    expect(ofOp('f(`\n  a();\n  ${b}\n`);')).toBe('f(`\na();${b}\n`\n);');
    expect(ofOp("f('name (a, b)', ' + b', '#define A (1) + b', `a[${b} + c]`);")).toBe(
      "f('name (a, b)', '+b', '#define A (1) + b', `a[${b}+c]`);",
    );
  });

  it('come without the list of their variants, and keep their lines', () => {
    const code = 'define({\n  variants: all({\n    a: 1,\n  }),\n  b,\n});';
    expect(shorten(code)).toBe('define({\n  \n\n\n  b,\n});');
  });

  it('keep what is no shader, and templates in the values of templates are shortened by themselves', () => {
    const code = "  const a = '  // no'; // yes\n  b(`x${c ? `\n  d // e\n  f` : '  // g'}\n  h`);";
    expect(shorten(code)).toBe("  const a = '  // no'; // yes\n  b(`x${c ? `\nd\nf` : '  // g'}\nh`);");
  });
});
