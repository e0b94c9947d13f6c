import type { Right } from './keys.js';
import type { Route } from './openapi.route.js';

/*
 * What the document says of API keys. Without keys in the configuration it says nothing of them.
 */

export const SECURITY_SCHEMES = {
  apiKey: {
    type: 'http',
    scheme: 'bearer',
    description: 'A key that the configuration knows. Each call takes one right; no right contains another.',
  },
} as const;

/** For the introduction. */
export const ACCESS_WORDS = `

**Access** needs \`Authorization: Bearer <key>\`. The actor is then the key's subject, and \`X-Actor\` is ignored. Each call takes one right:
\`read\` to GET, \`write\` to register, change, trash, restore and hold, \`purge\` for what cannot be undone (\`permanent=true\`, emptying the
trash, deleting a plain record, retrying a purge, releasing a hold), \`admin\` for what changes a storage. A dry run takes the right of the real one.`;

/** The rights that a route may take: more than one where it depends on the request. None: it is open to all. */
const rightsOf = ({ method, needs }: Route): readonly Right[] => needs ?? (method === 'get' ? ['read'] : ['write']);

/** The requirement of each right: one of them is enough to be let in. */
export const securityOf = (route: Route): { readonly apiKey: readonly Right[] }[] =>
  rightsOf(route).map((right) => ({ apiKey: [right] }));

/** The route with what it says where callers need a key. */
export const secured = (route: Route): Route => {
  const rights = rightsOf(route);
  if (rights.length === 0) return route;
  const takes = `Takes the right ${rights.map((right) => `\`${right}\``).join(' or ')}${rights.length > 1 ? ', by what is asked for' : ''}.`;
  const description = route.description === undefined ? takes : `${route.description}\n\n${takes}`;
  return { ...route, description, problems: [...(route.problems ?? []), 'unauthenticated'] };
};
