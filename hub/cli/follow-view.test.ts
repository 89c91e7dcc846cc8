import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { FollowView } from './follow-view.ts';
import type { FollowViewOptions } from './follow-view.ts';
import { Output } from './output.ts';
import { logEvent, statusEvent, stepEvent } from './test-answers.ts';

const AT = Date.parse('2030-01-01T00:00:00.000Z');

/** A view on a terminal; `shown` returns what was written since the last call. */
function onTerminal(options: Partial<FollowViewOptions> = {}, noColor = true) {
  const stdout = Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY: true });
  const output = new Output({ stdin: new PassThrough(), stdout, stderr: new PassThrough() }, { json: false, noColor });
  const view = new FollowView(output, { now: () => AT + 12_345, ...options });
  return { view, shown: () => String(stdout.read() ?? '') };
}

test('on a terminal the running step is shown in one rewritten line, which makes room for log lines', () => {
  const { view, shown } = onTerminal();
  view.tick();
  assert.equal(shown(), '', 'nothing runs yet');
  view.show(stepEvent({ name: 'build', status: 'running' }));
  view.tick();
  assert.equal(shown(), '\r\u001b[2K⠋ build     12.3 s');
  view.show(logEvent('build', 0, 'one\n'));
  assert.equal(shown(), '\r\u001b[2K  │ one\n');
  view.tick();
  shown();
  view.show(stepEvent({ name: 'build', status: 'done', ms: 13_000 }));
  assert.equal(shown(), '\r\u001b[2K✓ build          13.0 s\n');
  view.tick();
  assert.equal(shown(), '', 'nothing runs any more');
});

test('the output of an app is stripped to plain text and colours on a terminal', () => {
  const plain = onTerminal();
  plain.view.show(logEvent('build', 0, '\u001b]0;title\u0007\u001b[31mred\u001b[2J\n'));
  assert.equal(plain.shown(), '  │ red\n');
  const colored = onTerminal({ logsOnly: true }, false);
  colored.view.show(logEvent('build', 0, '\u001b]0;title\u0007\u001b[31mred\u001b[2J\n'));
  assert.equal(colored.shown(), '\u001b[31mred\u001b[0m\n');
});

test('the reason why a deployment waits is printed once', () => {
  const { view, shown } = onTerminal();
  const waits = statusEvent({ status: 'queued', waitingFor: 'the host vps-1, which is offline' });
  view.show(waits);
  view.show(waits);
  assert.equal(shown(), 'Queued: waiting for the host vps-1, which is offline.\n');
});

test('a step that is repeated, as after a reconnect, is shown once', () => {
  const { view, shown } = onTerminal();
  const done = stepEvent({ name: 'clone', status: 'done', ms: 5 });
  view.show(done);
  view.show(done);
  assert.equal(shown(), '✓ clone            5 ms\n');
});

test('a note clears the rewritten line first', () => {
  const { view, shown } = onTerminal();
  view.show(stepEvent({ name: 'build', status: 'running' }));
  view.tick();
  shown();
  view.note('The hub does not answer.');
  assert.equal(shown(), '\r\u001b[2K');
});
