/** One thing that was looked at for whoever operates a Lethe. */
export interface Check {
  readonly about: string;
  /** `wrong` keeps Lethe, or a part of it, from working; a `warning` will, or may hide what does. */
  readonly state: 'ok' | 'warning' | 'wrong';
  /** In a sentence what was seen. */
  readonly what: string;
  /** Null where there is nothing to do. */
  readonly todo: string | null;
}

export const ok = (about: string, what: string): Check => ({ about, state: 'ok', what, todo: null });
export const warning = (about: string, what: string, todo: string): Check => ({ about, state: 'warning', what, todo });
export const wrong = (about: string, what: string, todo: string): Check => ({ about, state: 'wrong', what, todo });
