import { strict as assert } from 'node:assert';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { toErrorReport } from '../../protocol/errors.ts';
import type { Listener } from '../../protocol/steps.ts';
import { ErrorReport } from '../../protocol/errors.ts';
import { diagnose, diagnoseExit, isLoopback } from './diagnosis.ts';

const facts = (listeners: readonly Listener[] | null) => ({
  port: 3000,
  portFrom: 'environment setting',
  budgetSeconds: 60,
  last: 'GET /: the connection was refused',
  listeners,
  tail: ['starting', 'ready'],
});

describe('diagnosis of a running but unhealthy app', () => {
  test('an app without a listening socket is diagnosed as a closed port', () => {
    const error = diagnose(facts([]));
    assert.equal(error.code, 'ORK_PORT_CLOSED');
    assert.equal(
      error.message,
      'The app runs but listened on no port within 60 s; port 3000 (environment setting) was expected.',
    );
  });

  test('for an app that listens on loopback only, the message names the address and the consequence', () => {
    const error = diagnose(facts([{ address: '127.0.0.1', port: 3000 }]));
    assert.equal(error.code, 'ORK_PORT_LOOPBACK');
    assert.equal(
      error.message,
      'The app listens on 127.0.0.1:3000 only, so it cannot be reached from outside the container.',
    );
  });

  test('the message names the loopback addresses of both families', () => {
    const error = diagnose(
      facts([
        { address: '127.0.0.1', port: 3000 },
        { address: '::1', port: 3000 },
      ]),
    );
    assert.match(error.message, /on 127\.0\.0\.1:3000 and \[::1\]:3000 only/);
  });

  test('for an app on another port, the message names the actual and the expected port', () => {
    const error = diagnose(facts([{ address: '0.0.0.0', port: 4999 }]));
    assert.equal(error.code, 'ORK_PORT_WRONG');
    assert.equal(error.message, 'The app listens on 0.0.0.0:4999, but not on port 3000 (environment setting).');
  });

  test('an app on the right port with a bad answer is unhealthy, and the message quotes the probe', () => {
    const error = diagnose({ ...facts([{ address: '::', port: 3000 }]), last: 'HTTP 500 from GET / in 3 ms' });
    assert.equal(error.code, 'ORK_UNHEALTHY');
    assert.match(error.message, /HTTP 500 from GET \//);
  });

  test('without readable listening sockets the diagnosis rests on the probe alone', () => {
    const error = diagnose(facts(null));
    assert.equal(error.code, 'ORK_UNHEALTHY');
    assert.ok(error.evidence.includes('listening: could not be read'));
  });

  test('the evidence contains the sockets, the last probe and the last 20 lines of the app', () => {
    const tail = Array.from({ length: 50 }, (_, index) => `line ${index}`);
    const { evidence } = diagnose({ ...facts([{ address: '0.0.0.0', port: 4999 }]), tail });
    assert.equal(evidence[0], 'listening: 0.0.0.0:4999');
    assert.equal(evidence[1], 'last probe: GET /: the connection was refused');
    assert.deepEqual(evidence.slice(2, 3), ['app: line 30']);
    assert.equal(evidence.length, 22);
  });

  test('for any set of sockets the code matches them and the report fits its schema', () => {
    const address = fc.constantFrom('127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1', '0.0.0.0', '::', '172.20.0.2');
    const listener = fc.record({ address, port: fc.constantFrom(3000, 4999, 8080) });
    fc.assert(
      fc.property(fc.array(listener, { maxLength: 20 }), (listeners) => {
        const error = diagnose(facts(listeners));
        const atPort = listeners.filter(({ port }) => port === 3000);
        const expected = atPort.some((one) => !isLoopback(one.address))
          ? 'ORK_UNHEALTHY'
          : atPort.length > 0
            ? 'ORK_PORT_LOOPBACK'
            : listeners.length > 0
              ? 'ORK_PORT_WRONG'
              : 'ORK_PORT_CLOSED';
        assert.equal(error.code, expected);
        assert.doesNotMatch(error.message, /undefined|null|NaN/);
        ErrorReport.parse(toErrorReport(error));
      }),
    );
  });
});

describe('diagnosis of an app that exited', () => {
  test('the message contains the exit code and the last error', () => {
    const error = diagnoseExit({ exitCode: 3, oomKilled: false }, 512, ['connecting', 'fatal: no database', '']);
    assert.equal(error.code, 'ORK_APP_EXITED');
    assert.equal(error.message, 'The app exited with code 3 before it was healthy. Its last error: fatal: no database');
    assert.ok(error.evidence.includes('app: connecting'));
  });

  test('an app that is not permitted to change its user gets a hint with the capabilities setting', () => {
    const lines = [
      'nginx: [emerg] chown("/var/cache/nginx/client_temp", 101) failed (1: Operation not permitted)',
      '(1)Operation not permitted: AH02156: setgid: unable to set group id to Group 33',
      'error: failed switching to "redis": operation not permitted',
      "chown: changing ownership of '/data': Operation not permitted",
    ];
    for (const line of lines) {
      const { message } = diagnoseExit({ exitCode: 1, oomKilled: false }, 512, [line, 'stopped']);
      assert.match(message, /environment set --setting 'capabilities=\["CHOWN","SETGID","SETUID"\]'$/, line);
      assert.match(diagnose({ ...facts([]), tail: [line] }).message, /capabilities=/, line);
    }
    for (const line of ['open /dev/kvm: operation not permitted', 'chown: no such user']) {
      assert.doesNotMatch(diagnoseExit({ exitCode: 1, oomKilled: false }, 512, [line]).message, /capabilities/, line);
    }
  });

  test('the message of an exit by a signal names the signal', () => {
    const error = diagnoseExit({ exitCode: 139, oomKilled: false }, 512, []);
    assert.match(error.message, /by signal SIGSEGV \(exit code 139\).*It wrote nothing/);
  });

  test('the message of an out-of-memory kill names the limit', () => {
    const error = diagnoseExit({ exitCode: 137, oomKilled: true }, 256, ['allocating']);
    assert.equal(error.code, 'ORK_APP_MEMORY');
    assert.match(error.message, /limit of 256 MiB/);
  });

  test('the message for a removed container differs from the one for an exited container', () => {
    assert.match(diagnoseExit(null, 512, []).message, /gone/);
  });
});
