/*
 * Elements and words. Text reaches the page as text nodes alone: nothing that a record says is ever parsed.
 */

/**
 * @param {string} tag
 * @param {Record<string, unknown>} properties of the element; `aria-…` and other names with a dash are attributes; `on` holds listeners
 * @param {...(Node | string | null)} children null is left out
 */
export const el = (tag, properties = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === 'on') for (const [type, heard] of Object.entries(value)) element.addEventListener(type, heard);
    else if (name.includes('-')) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null));
  return element;
};

export const button = (text, act, properties = {}) =>
  el('button', { type: 'button', on: { click: act }, ...properties }, text);

export const link = (text, href) => el('a', { href }, text);

export const field = (text, control) => el('label', {}, text, control);

export const choice = (name, options, value) =>
  el('select', { name }, ...options.map(([of, text]) => el('option', { value: of, selected: of === value }, text)));

/** @param {string[]} heads @param {(Node | string)[][]} rows */
export const table = (caption, heads, rows) =>
  el(
    'div',
    { className: 'scroll', tabIndex: 0, role: 'region', 'aria-label': caption },
    el(
      'table',
      {},
      el('thead', {}, el('tr', {}, ...heads.map((head) => el('th', { scope: 'col' }, head)))),
      el('tbody', {}, ...rows.map((row) => el('tr', {}, ...row.map((cell) => el('td', {}, cell))))),
    ),
  );

/** @param {number | null} count of bytes */
export const bytes = (count) => {
  if (count === null || count === undefined) return '';
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let value = count;
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit += 1) value /= 1000;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
};

export const many = (count, one) => `${count} ${one}${count === 1 ? '' : 's'}`;

/** A value as a person reads it; JSON where it has parts. */
export const shown = (value) => {
  if (value === null || value === undefined) return '–';
  return typeof value === 'object' ? JSON.stringify(value, null, 2) : String(value);
};

/** What a record is called: its key or name, else its uid. */
export const nameOf = (record) => record.key ?? record.name ?? record.uid;

/** Says an outcome, where screen readers hear it. */
export const say = (text) => {
  document.getElementById('status').textContent = text;
};

/** Shows what went wrong, with what to tell whoever runs the service. @param {Error | null} error null takes it away */
export const showProblem = (error) => {
  const place = document.getElementById('problem');
  if (error === null) return place.replaceChildren();
  const { problem } = error;
  place.replaceChildren(
    el(
      'p',
      {},
      problem === undefined ? `The service did not answer: ${error.message}` : `${problem.title}: ${problem.detail}`,
    ),
    ...(problem?.errors ?? []).map(({ path, message }) => el('p', {}, `${path} ${message}`)),
    ...(problem?.by ?? []).map(({ registry, uid }) => el('p', {}, link(`${registry}/${uid}`, `#/${registry}/${uid}`))),
    ...(problem === undefined ? [] : [el('p', { className: 'faint' }, `Correlation id: ${problem.correlationId}`)]),
  );
};
