import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** The rooms that decide and fold: data in, data out. Whatever differs between two runs comes in through `src/ports.ts`. */
const CORE = ['src/events/**/*.ts', 'src/commands/**/*.ts', 'src/projections/**/*.ts', 'src/sagas/**/*.ts'];

const INJECTED =
  'comes in through a port (Clock, Ids or Random in src/ports.ts), so that a whole service runs in simulated time from one seed.';

const SWALLOWED = [
  {
    selector: "CallExpression[callee.property.name='catch'] > :function > BlockStatement[body.length=0]",
    message:
      'An error swallowed without a word: handle it, or say in a comment within a try/catch why it does not matter.',
  },
];

const AMBIENT = [
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: `The time ${INJECTED}` },
  { selector: "CallExpression[callee.name='Date']", message: `The time ${INJECTED}` },
  { selector: "MemberExpression[object.name='Date'][property.name='now']", message: `The time ${INJECTED}` },
  { selector: "MemberExpression[object.name='Math'][property.name='random']", message: `Chance ${INJECTED}` },
  {
    selector: 'CatchClause > BlockStatement[body.length=0]',
    message: 'Nothing here may fail unnoticed: a decision or a fold that swallows an error is a wrong answer.',
  },
];

/** Nest's in-memory event side: what is published there is lost with the process, or sooner. */
const FORGETFUL_NEST = {
  name: '@nestjs/cqrs',
  importNames: ['AggregateRoot', 'EventBus', 'EventPublisher', 'EventsHandler', 'Saga'],
  message:
    'It lives in memory and loses events. Whatever must happen follows the log from a checkpoint; CommandBus and QueryBus are fine.',
};

const CHANCE = [
  {
    names: ['node:crypto', 'crypto'],
    importNames: [
      'getRandomValues',
      'randomBytes',
      'randomFill',
      'randomFillSync',
      'randomInt',
      'randomUUID',
      'webcrypto',
    ],
  },
  { names: ['uuid'], importNames: ['v1', 'v4', 'v6', 'v7'] },
].flatMap(({ names, importNames }) =>
  names.map((name) => ({ name, importNames, message: `An id or chance ${INJECTED}` })),
);

const TIME = ['node:timers', 'timers', 'node:timers/promises', 'timers/promises', 'node:perf_hooks', 'perf_hooks'].map(
  (name) => ({ name, message: `The time ${INJECTED}` }),
);

export default defineConfig(
  globalIgnores(['dist/', '.cache/', 'coverage/', 'lethe-data/']),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,

  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-restricted-syntax': ['error', ...SWALLOWED],
      'object-shorthand': 'error',
      'prefer-const': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_$', ignoreRestSiblings: true },
      ],

      // A Nest module is its decorator, and a query without arguments is its name: both are classes without members.
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true, allowEmpty: true }],
      // Numbers, bigints and booleans read well in a message; an object or null there is a mistake.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // `() => log.info(…)` is no confusion.
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // The types don't know that time passes at an `await`: an aborted signal, a flag that a callback turns. On again below, where nothing waits.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      // Nest's options are classes by name and plain objects by use.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      // A port's method is async also where an adapter has nothing to await: what it throws is then a rejection, as the port says.
      '@typescript-eslint/require-await': 'off',
    },
  },

  {
    files: ['src/**/*.ts'],
    rules: {
      // Narrow with zod at the edges and trust types inside; `as const` stays allowed.
      '@typescript-eslint/consistent-type-assertions': ['error', { assertionStyle: 'never' }],
      'no-console': 'error',
      'no-restricted-exports': [
        'error',
        {
          restrictDefaultExports: {
            direct: true,
            named: true,
            defaultFrom: true,
            namedFrom: true,
            namespaceFrom: true,
          },
        },
      ],
      'no-restricted-imports': ['error', { paths: [FORGETFUL_NEST] }],
    },
  },

  {
    files: CORE,
    rules: {
      'no-restricted-syntax': ['error', ...SWALLOWED, ...AMBIENT],
      'no-restricted-imports': ['error', { paths: [FORGETFUL_NEST, ...CHANCE, ...TIME] }],
      'no-restricted-globals': [
        'error',
        ...['crypto', 'performance', 'setInterval', 'setTimeout'].map((name) => ({ name, message: `It ${INJECTED}` })),
      ],
    },
  },

  {
    files: ['src/events/**/*.ts', 'src/commands/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
    },
  },

  {
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      // An answer's JSON and vitest's matchers (`expect.any(…)`) are `any` by their types. Written-out `any` stays forbidden.
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      // `expect(store.append).toHaveBeenCalled()` calls nothing.
      '@typescript-eslint/unbound-method': 'off',
    },
  },

  {
    files: ['**/*.js', '**/*.mjs'],
    ignores: ['web/**'],
    languageOptions: { globals: { console: 'readonly', fetch: 'readonly', process: 'readonly', URL: 'readonly' } },
  },

  {
    // Runs in a browser.
    files: ['web/**'],
    languageOptions: {
      globals: Object.fromEntries(
        [
          ...['clearTimeout', 'crypto', 'document', 'fetch', 'location', 'sessionStorage', 'setTimeout', 'window'],
          ...['AbortController', 'Error', 'FormData', 'Intl', 'URL', 'URLSearchParams'],
        ].map((name) => [name, 'readonly']),
      ),
    },
  },
);
