/* Every change is described and confirmed before it is sent. */

import { send, token, urlOf } from './api.js';
import { curlOf } from './curl.js';
import { button, byId, h } from './dom.js';

/** @import { Change } from './types.d.ts' */

/**
 * @param {readonly Change[]} changes Of one kind; the texts of the first one are shown for all.
 * @param {() => void} done
 */
export function confirmChange(changes, done) {
  const [first] = changes;
  if (first === undefined) return;
  const dialog = /** @type {HTMLDialogElement} */ (byId('confirm'));
  const many = changes.length > 1;
  const commands = changes
    .map((change) => curlOf(change, { url: urlOf(change.path), token: token.get() !== undefined }))
    .join('\n');
  const output = h('p', { class: 'outcome', role: 'status' });
  const yes = button(many ? `${first.verb}: ${changes.length} requests` : first.verb, () => void go(), {
    class: first.danger ? 'danger' : 'primary',
  });
  const no = button('Close', () => dialog.close());
  dialog.replaceChildren(
    h('h2', { id: 'confirm-title' }, `${first.verb}?`),
    many
      ? h('ul', { class: 'description' }, ...changes.map(({ description }) => h('li', {}, description)))
      : h('p', { class: 'description' }, first.description),
    h('details', { open: !many }, h('summary', {}, 'As a curl command'), h('pre', { tabindex: 0 }, commands)),
    output,
    h('div', { class: 'buttons' }, copying(commands), no, yes),
  );
  dialog.showModal();
  no.focus();

  async function go() {
    yes.disabled = true;
    const failed = await sendAll(changes, (text) => output.replaceChildren(text));
    done();
    if (failed.length === 0) return dialog.close();
    output.replaceChildren(...failed.slice(0, 5).map((text) => h('span', { class: 'trouble' }, text)));
  }
}

/**
 * @param {readonly Change[]} changes
 * @param {(text: string) => void} tell
 */
async function sendAll(changes, tell) {
  /** @type {string[]} */
  const failed = [];
  for (const [i, change] of changes.entries()) {
    if (changes.length > 1) tell(`${i + 1} of ${changes.length} …`);
    try {
      say(change, await send(change));
    } catch (error) {
      failed.push(error instanceof Error ? error.message : String(error));
    }
  }
  return failed;
}

/**
 * @param {Change} change
 * @param {any} answer
 */
function say({ verb }, answer) {
  const changed = answer?.changed === undefined ? '' : `: ${answer.changed} of ${answer.matched}`;
  byId('said').textContent = `Done, ${verb.toLowerCase()}${changed}.`;
}

/** @param {string} text */
function copying(text) {
  const copy = button('Copy as curl', () => {
    // The clipboard needs HTTPS or localhost. Otherwise, the text can be selected.
    const copied = navigator.clipboard?.writeText(text) ?? Promise.reject(new Error('no clipboard'));
    copied.then(
      () => (copy.textContent = 'Copied'),
      () => (copy.textContent = 'Select the text above'),
    );
  });
  return copy;
}

/** Asks for the admin token, then calls `then`. @param {(() => void)} then @param {boolean} wrong */
export function askToken(then, wrong) {
  const dialog = /** @type {HTMLDialogElement} */ (byId('token'));
  if (dialog.open) return;
  const input = h('input', { type: 'password', autocomplete: 'off', id: 'token-value', required: true });
  const take = () => {
    if (input.value.trim() === '') return;
    token.set(input.value.trim());
    dialog.close();
    then();
  };
  input.addEventListener('keydown', ({ key }) => key === 'Enter' && take());
  dialog.replaceChildren(
    h('h2', {}, wrong ? 'The token was rejected' : 'Admin token'),
    h(
      'p',
      {},
      'This server requires the admin token (admin_token in the configuration). The browser keeps it until you close this tab.',
    ),
    h('label', { for: 'token-value' }, 'Token'),
    input,
    h('div', { class: 'buttons' }, button('Continue', take, { class: 'primary' })),
  );
  dialog.showModal();
  input.focus();
}
