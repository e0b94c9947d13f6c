/**
 * Who may import whom. Each room of `src/` is named once, with what it may see; whatever is not named there is forbidden.
 *
 *   events <- commands <- sagas          ports: src/ports.ts and src/storage/<port>/port.ts
 *   events <- projections <- sagas       composition: the files directly in src/
 */

const PORTS = [
  '^src/ports\\.ts$',
  '^src/storage/[^/]+/port\\.ts$',
  // Which paths every read model indexes: a part of that port, and long enough for a file.
  '^src/storage/read-model/indexes\\.ts$',
  // Which paths every object store takes: a part of that port, and long enough for a file.
  '^src/storage/object-store/paths\\.ts$',
  '^src/storage/errors\\.ts$',
];

/** Who points at a record, and whose objects overlap: asked of the read model alike by the judge and by the early checks before an append. */
const NEIGHBOURS = '^src/projections/(neighbours|overlap)\\.ts$';

/** What a core file may use of others' code: pure libraries, and Node's modules that touch neither disk, network nor clock. */
const PURE = [
  'node_modules/(@types/)?(zod|uuid|ajv)/',
  '^(node:)?(buffer|crypto|path|path/posix|stream|stream/consumers|stream/promises|util)$',
];
const NEST = 'node_modules/@nestjs/(common|cqrs)/';

/** Each driver, and the one adapter that may name it. */
const DRIVERS = {
  'better-sqlite3': '^src/storage/((event-store|read-model)/sqlite\\.|event-store/lock\\.ts$)',
  '@eventstore/db-client': '^src/storage/event-store/eventstoredb\\.ts$',
  mongodb: '^src/storage/read-model/mongodb\\.',
  minio: '^src/storage/object-store/minio\\.',
};

/** A room may see itself, and `sees`. */
const room = (name, sees, comment, { except } = {}) => ({
  name: `${name}-sees`,
  comment,
  severity: 'error',
  from: { path: `^src/${name}/`, ...(except && { pathNot: except }) },
  to: { path: '^src/', pathNot: [`^src/${name}/`, ...sees] },
});

/** What a room may use of npm and of Node. */
const libraries = (name, uses, comment, { except } = {}) => ({
  name: `${name}-libraries`,
  comment,
  severity: 'error',
  from: { path: `^src/${name}/`, ...(except && { pathNot: except }) },
  to: { pathNot: ['^src/', ...uses] },
});

const THREAD = '\\.thread\\.ts$';
const HANDLERS = '\\.handlers\\.ts$';

const rooms = [
  room(
    'events',
    [],
    'The events are the storage format. They outlive every other file, so they depend on none of them.',
  ),
  room(
    'commands',
    ['^src/events/', NEIGHBOURS, ...PORTS],
    'A decision is made of events alone; a handler also needs the ports. Which adapter stands behind a port, and who asked over what protocol, is not its business.',
  ),
  room(
    'projections',
    ['^src/events/', ...PORTS],
    'What is visible follows from events alone: a projection that looked at a command, a saga or a store would not rebuild to the same rows.',
    { except: THREAD },
  ),
  room(
    'sagas',
    ['^src/commands/', '^src/events/', '^src/projections/', ...PORTS],
    'A saga reads a work-list, and acts by commands. It knows of no adapter and of no protocol.',
    { except: THREAD },
  ),
  {
    name: 'sagas-see-projections-as-types',
    comment:
      "A saga reads its work-list through the read model's port. It shares the rows' types with the projection, and none of its code.",
    severity: 'error',
    from: { path: '^src/sagas/', pathNot: THREAD },
    to: { path: '^src/projections/', pathNot: NEIGHBOURS, dependencyTypesNot: ['type-only'] },
  },
  room(
    'api',
    ['^src/(commands|events|projections)/', '^src/config\\.ts$', ...PORTS],
    'HTTP turns a request into a command or a query, and back. It starts no saga and knows no adapter, so that the CLI and a test get the same answers without it.',
  ),
  room(
    'client',
    ['^src/api/(.*schema|answers\\.ts$)', '^src/(service|config)\\.ts$'],
    'The SDK is a client like any other: it knows the JSON of the API and nothing of how it comes about.',
  ),
  {
    name: 'client-sees-schemas-as-types',
    comment: "The SDK takes the schemas' types. Their code would bring zod and Nest into every user's bundle.",
    severity: 'error',
    from: { path: '^src/client/' },
    to: { path: '^src/api/', dependencyTypesNot: ['type-only'] },
  },
  {
    name: 'client-opens-a-service-lazily',
    comment:
      'connect({ data }) runs a service in this process, from in-process.ts and by import() alone: whoever connects to a URL must not load a server.',
    severity: 'error',
    from: { path: '^src/client/' },
    to: { path: '^src/(service|config)\\.ts$', dependencyTypesNot: ['dynamic-import', 'type-only'] },
  },
  {
    name: 'client-opens-a-service-in-one-place',
    comment: 'One file of the SDK knows that a service can run in this process.',
    severity: 'error',
    from: { path: '^src/client/', pathNot: '^src/client/in-process\\.ts$' },
    to: { path: '^src/(service|config)\\.ts$' },
  },
  room(
    'nest',
    ['^src/client/(connect|lethe)\\.ts$'],
    'lethe/nest puts the SDK into another Nest application: it knows what every user of the SDK knows.',
  ),
  room(
    'upkeep',
    ['^src/commands/(content|execute|ownership|storages)\\.ts$', '^src/events/', '^src/projections/', ...PORTS],
    'Rebuilding, verifying and clearing away work on the stores themselves, beside the service. They read the log as everybody does, and append nothing.',
  ),
  room(
    'cli',
    [
      '^src/client/',
      '^src/(main|service|config|log-import|upkeep|diagnosis)\\.ts$',
      '^src/upkeep/',
      '^src/testing/',
      '^src/storage/event-store/lock\\.ts$',
    ],
    'The command line is a client of the API. It opens a service by src/service.ts where none runs, the stores by src/upkeep.ts for whoever operates them, brings a log in by src/log-import.ts, and `lethe replay` is the replay of lethe/testing.',
  ),
  {
    name: 'cli-sees-upkeep-as-types',
    comment: 'src/upkeep.ts opens the stores, and is loaded by the verbs that need it: the others start faster.',
    severity: 'error',
    from: { path: '^src/cli/' },
    to: { path: '^src/(upkeep|diagnosis)', dependencyTypesNot: ['dynamic-import', 'type-only'] },
  },
  room(
    'testing',
    [
      '^src/(commands|events|projections|sagas)/',
      '^src/api/(query-language|wire|answers)\\.ts$',
      '^src/adapters\\.ts$',
      ...PORTS,
    ],
    'Given/when/then and replay work on the core, with no server and no protocol between; a replay takes the queries of the API, and gives its answers.',
  ),
  {
    name: 'testing-is-for-tests',
    comment: 'What exists for tests runs in no service.',
    severity: 'error',
    from: { path: '^src/', pathNot: '^src/(testing|cli)/' },
    to: { path: '^src/testing/' },
  },
  {
    name: 'ports-see-nothing',
    comment: 'Everyone may import a port, because a port imports no one: events and other ports are all it speaks of.',
    severity: 'error',
    from: { path: PORTS },
    to: { path: '^src/', pathNot: ['^src/events/', ...PORTS] },
  },
];

const adapters = [
  {
    name: 'adapter-sees',
    comment:
      'An adapter sees its port, the errors it may throw, events, and the files of its own name (sqlite.ts, sqlite.thread.ts). Two adapters that share code could not be changed or replaced one by one.',
    severity: 'error',
    from: { path: '^src/storage/([^/]+)/([^/.]+)[^/]*\\.ts$', pathNot: '/port\\.ts$' },
    to: {
      path: '^src/',
      pathNot: [
        '^src/storage/$1/port\\.ts$',
        '^src/storage/$1/$2\\.',
        // What no adapter of the port can store: refused alike, and none of them reaches another through it.
        '^src/storage/$1/(append-arguments|paths)\\.ts$',
        '^src/storage/errors\\.ts$',
        '^src/events/',
        ...PORTS,
      ],
    },
  },
  {
    name: 'adapters-are-named-once',
    comment:
      'src/adapters.ts is the one place that knows which adapter stands behind a port: a store is chosen there and nowhere else.',
    severity: 'error',
    from: { path: '^src/', pathNot: ['^src/adapters\\.ts$', '^src/storage/'] },
    to: {
      path: '^src/storage/[^/]+/',
      pathNot: ['/port\\.ts$', '/(indexes|paths)\\.ts$', '^src/storage/event-store/lock\\.ts$'],
    },
  },
  {
    name: 'adapters-are-taken-at-the-top',
    comment:
      'Stores are handed in. Only the composition (the files directly in src/), a worker thread, which starts from nothing, and a replay make them.',
    severity: 'error',
    from: { path: '^src/[^/]+/', pathNot: [THREAD, '^src/testing/'] },
    to: { path: '^src/adapters\\.ts$' },
  },
  ...Object.entries(DRIVERS).map(([driver, adapter]) => ({
    name: `driver-${driver.replace(/^@|\/.*/g, '')}`,
    comment: `${driver} is named behind its port alone, so that another driver, or its next major version, is a change of one adapter.`,
    severity: 'error',
    from: { path: '^src/', pathNot: adapter },
    to: { path: `node_modules/(@types/)?${driver}/` },
  })),
];

const uses = [
  libraries(
    'events',
    PURE,
    'The storage format needs zod and a hash. A library that changes must not change what a disk holds.',
  ),
  libraries('commands', PURE, 'A decision takes nothing from the air: no disk, no network, no framework.', {
    except: HANDLERS,
  }),
  libraries('projections', PURE, 'A fold takes nothing from the air: no disk, no network, no framework.', {
    except: [HANDLERS, THREAD],
  }),
  libraries('sagas', PURE, 'A saga acts through ports and commands: no disk, no network, no framework.', {
    except: [HANDLERS, THREAD],
  }),
  {
    name: 'handlers-libraries',
    comment:
      'A *.handlers.ts file is where Nest meets the core: a class that the CommandBus or QueryBus finds, and no more.',
    severity: 'error',
    from: { path: `^src/(commands|projections|sagas)/.*${HANDLERS}` },
    to: { pathNot: ['^src/', NEST, ...PURE] },
  },
  {
    name: 'client-libraries',
    comment: 'The SDK needs nothing but fetch (and Node, to read a file): whoever installs it gets no dependency tree.',
    severity: 'error',
    from: { path: '^src/client/' },
    to: { path: 'node_modules/' },
  },
  libraries(
    'nest',
    ['node_modules/@nestjs/common/'],
    "What a Nest application has anyway. Terminus is the application's choice: a health check is a plain object to it.",
  ),
  {
    name: 'src-needs-no-dev-dependency',
    comment: 'What is installed with --omit=dev must run.',
    severity: 'error',
    from: { path: '^src/' },
    to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'], pathNot: 'node_modules/@types/' },
  },
  {
    name: 'src-needs-no-test',
    comment: 'Tests and benchmarks know the sources, never the other way round.',
    severity: 'error',
    from: { path: '^src/' },
    to: { path: '^(test|bench)/' },
  },
  {
    name: 'web-sees-nothing',
    comment: 'The UI is a client of the HTTP API like any other.',
    severity: 'error',
    from: { path: '^web/' },
    to: { path: '^(src|test|bench)/' },
  },
];

const everywhere = [
  {
    name: 'no-cycles',
    comment:
      'Two files that need each other, be it for types, cannot be read one after the other: merge them, or move what both need.',
    severity: 'error',
    from: {},
    to: { circular: true },
  },
  {
    name: 'no-orphans',
    comment: 'A file that nobody imports, and that imports nothing, is dead or lost.',
    severity: 'error',
    from: {
      orphan: true,
      path: '^src/',
      pathNot: [
        '^src/main\\.ts$',
        '^src/cli/main\\.ts$',
        '^src/client/(connect|browser)\\.ts$',
        '^src/testing/',
        THREAD,
      ],
    },
    to: {},
  },
  {
    name: 'no-nameless-files',
    comment:
      'A thing lives beside its one user, or has a name of its own: utils, helpers and common are names for nothing.',
    severity: 'error',
    from: {},
    to: { path: '/(utils|util|helpers|helper|common)(/|\\.ts$)', pathNot: 'node_modules/' },
  },
  {
    name: 'no-barrels',
    comment:
      'An index.ts hides who needs what, makes cycles and loads files that nobody asked for. Import the file itself.',
    severity: 'error',
    from: {},
    to: { path: '/index\\.ts$', pathNot: 'node_modules/' },
  },
  {
    name: 'nothing-unresolved',
    comment: 'An import that leads nowhere fails when it is least expected.',
    severity: 'error',
    from: {},
    to: { couldNotResolve: true },
  },
  {
    name: 'nothing-unlisted',
    comment: 'A package that package.json does not name is there by luck.',
    severity: 'error',
    from: {},
    to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
  },
];

export default {
  forbidden: [...rooms, ...adapters, ...uses, ...everywhere],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|coverage|examples|lethe-data|\\.cache|\\.git)/' },
    tsConfig: { fileName: 'tsconfig.json' },
    // Imports of types count: a type is knowledge too.
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      mainFields: ['module', 'main', 'types'],
    },
  },
};
