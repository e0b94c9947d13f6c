import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import ts from 'typescript';

/*
 * The samples of a page, as the one program that they are.
 */

const ROOT = join(import.meta.dirname, '../..');
/** Within the package, so that `lethe` is this one. */
const SAMPLES = join(ROOT, '.cache/samples');

/** The code of one language on a page, block by block. */
export const samplesOf = async (page: string, language: 'sh' | 'ts'): Promise<string[]> => {
  const text = await readFile(join(ROOT, page), 'utf8');
  const blocks = text.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm'));
  return [...blocks].map(([, code = '']) => code);
};

/** What the compiler says of the samples, against the package as users import it. */
export const faultsOf = async (name: string, samples: readonly string[]): Promise<string[]> => {
  const file = await written(`${name}.ts`, samples.join('\n'));
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [file] }, ts.sys, ROOT);
  // What a page reads and does not use is for the reader.
  const program = ts.createProgram([file], { ...options, noUnusedLocals: false });
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
};

/** Makes the samples a program for Node. @returns its path */
export const programOf = async (name: string, samples: readonly string[]): Promise<string> => {
  const { outputText } = ts.transpileModule(samples.join('\n'), {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  });
  return written(`${name}.mjs`, outputText);
};

const written = async (name: string, code: string): Promise<string> => {
  await mkdir(SAMPLES, { recursive: true });
  const file = join(SAMPLES, name);
  await writeFile(file, code);
  return file;
};
