import { readFileSync } from 'node:fs';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { mutated } from './mutant.js';
import { MUTANTS } from './mutants.js';

/** Whether they are caught is for `npm run mutants`, which takes minutes; that they still can be put in is seen here. */
describe('the mutants', () => {
  it.each(MUTANTS)('$id stands in the code once, and leaves a program', (mutant) => {
    const text = mutated(readFileSync(mutant.file, 'utf8'), mutant);
    const { diagnostics } = ts.transpileModule(text, { reportDiagnostics: true, fileName: mutant.file });
    expect(diagnostics).toEqual([]);
  });

  it('have a name each, and a line in the README', () => {
    const names = MUTANTS.map(({ id }) => id);
    expect(new Set(names).size).toBe(names.length);
    const readme = readFileSync('test/mutants/README.md', 'utf8');
    expect([...readme.matchAll(/^\| `([^`]+)`/gm)].map(([, id]) => id)).toEqual(names);
  });

  it('are refused where the text stands there twice, or not at all', () => {
    const caughtBy = { by: 'test', file: '', name: '' } as const;
    const mutant = { id: 'x', file: 'f', before: 'a', after: 'b', breaks: '', caughtBy };
    expect(mutated('1a2', mutant)).toBe('1b2');
    expect(() => mutated('aa', mutant)).toThrow('exactly once');
    expect(() => mutated('', mutant)).toThrow('exactly once');
  });
});
