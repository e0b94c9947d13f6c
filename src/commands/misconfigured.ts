/** The configuration and what the service finds do not go together: it stops the start, with what to do. */
export class Misconfigured extends Error {
  override readonly name = 'Misconfigured';
}
