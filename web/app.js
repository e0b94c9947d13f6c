import { forgetKey, hasKey, keepKey, read, Refused } from './api.js';
import { el, field, link, say, showProblem } from './dom.js';
import { listPage } from './list.js';
import { recordPage } from './record.js';
import { operationPage, trashPage } from './trash.js';

/*
 * Which page stands there is what the address says behind `#`: `/files`, `/files/<uid>`, `/trash`, `/operations/<id>`.
 */

const main = document.getElementById('main');
const tabs = document.getElementById('tabs');
const forget = document.getElementById('forget-key');

/** The page that was asked for last: an answer for an earlier one comes too late. */
let asked = 0;

const askForKey = () => {
  const key = el('input', { type: 'password', name: 'key', required: true, autocomplete: 'off' });
  main.replaceChildren(
    el('h1', {}, 'API key'),
    el(
      'form',
      {
        className: 'row',
        on: {
          submit: (event) => {
            event.preventDefault();
            keepKey(key.value.trim());
            void show();
          },
        },
      },
      field('This service asks for a key', key),
      el('button', { type: 'submit' }, 'Use it'),
    ),
    el('p', { className: 'faint' }, 'It stays in this tab, until it is closed.'),
  );
  key.focus();
};

const failed = (error) => {
  showProblem(error);
  if (error instanceof Refused && error.problem.code === 'unauthenticated') {
    forgetKey();
    askForKey();
  }
};

/** An act for a listener: what it throws is shown. */
const run = (act) => async () => {
  showProblem(null);
  try {
    await act();
  } catch (error) {
    failed(error);
  }
};

const showTabs = (registries, current) => {
  const tab = (text, name) => {
    const to = link(text, `#/${name}`);
    if (name === current) to.setAttribute('aria-current', 'page');
    return to;
  };
  tabs.replaceChildren(...registries.map(({ name, count }) => tab(`${name} (${count})`, name)), tab('Trash', 'trash'));
};

const pageOf = async (registries, [first, second], parameters) => {
  if (first === 'trash') return trashPage(run, show);
  if (first === 'operations') return operationPage(second, run);
  if (second === undefined) return listPage(first, parameters);
  const kind = registries.find(({ name }) => name === first)?.kind;
  return recordPage(first, second, kind === 'trashable', run, show);
};

const show = async () => {
  const mine = (asked += 1);
  const [path, search] = window.location.hash.replace(/^#\/?/, '').split('?');
  const parts = path === '' ? ['files'] : path.split('/');
  forget.hidden = !hasKey();
  showProblem(null);
  try {
    const { items } = await read('');
    const page = await pageOf(items, parts, new URLSearchParams(search));
    if (mine !== asked) return;
    showTabs(items, parts[0]);
    document.title = `${parts.join('/')} – Lethe`;
    main.replaceChildren(page);
    main.focus();
  } catch (error) {
    if (mine !== asked) return;
    main.replaceChildren();
    failed(error);
  }
};

forget.addEventListener('click', () => {
  forgetKey();
  void show();
});
document.querySelector('.skip').addEventListener('click', (event) => {
  // What stands behind `#` says which page this is.
  event.preventDefault();
  main.focus();
});
window.addEventListener('hashchange', () => {
  say('');
  void show();
});
void show();
