import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { lastError } from './last-error.ts';

/** The lines of `text`, without the indentation of the first. */
function lines(text: string): string[] {
  const all = text.split('\n').slice(1, -1);
  const margin = /^ */.exec(all[0] ?? '')?.[0].length ?? 0;
  return all.map((line) => line.slice(margin));
}

/** What Node.js itself prints for a failing program. */
function written(program: string): string[] {
  const { stderr } = spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' });
  return ['listening soon', ...stderr.split('\n')];
}

describe('the last error of an app', () => {
  test('of Node.js is the error and not the version line at the end', () => {
    assert.equal(lastError(written('throw new TypeError("no database")')), 'Its last error: TypeError: no database');
    assert.equal(lastError(written('require("./gone")')), "Its last error: Error: Cannot find module './gone'");
    const listen =
      'const s = require("net").createServer().listen(0, () => require("net").createServer().listen(s.address().port))';
    assert.match(lastError(written(listen)), /^Its last error: Error: listen EADDRINUSE: .*:\d+$/);
    const cause = 'throw new Error("no start", { cause: new Error("no route") })';
    assert.equal(lastError(written(cause)), 'Its last error: [cause]: Error: no route');
  });

  test('of Python is found even if gunicorn writes more after it', () => {
    const trace = lines(`
      Traceback (most recent call last):
        File "/venv/lib/gunicorn/arbiter.py", line 608, in spawn_worker
          worker.init_process()
          ~~~~~~~~~~~~~~~~~~~^^
      django.core.exceptions.ImproperlyConfigured: The SECRET_KEY setting must not be empty.
    `);
    const error =
      'Its last error: django.core.exceptions.ImproperlyConfigured: The SECRET_KEY setting must not be empty.';
    assert.equal(lastError(trace), error);
    const reason = '[7] [ERROR] Reason: Worker failed to boot.';
    assert.equal(
      lastError([...trace, '[8] [INFO] Worker exiting (pid: 8)', reason]),
      `${error}; its last line: ${reason}`,
    );
  });

  test('of the JVM is the innermost cause', () => {
    const trace = lines(`
      Exception in thread "main" java.lang.IllegalStateException: no start
      \tat shop.Main.main(Main.java:5)
      Caused by: java.net.ConnectException: Connection refused
      \tat java.base/sun.nio.ch.Net.pollConnect(Native Method)
      \t... 14 more
    `);
    assert.equal(lastError(trace), 'Its last error: Caused by: java.net.ConnectException: Connection refused');
  });

  test('of Go is the panic', () => {
    const trace = lines(`
      panic: no database

      goroutine 1 [running]:
      main.open(...)
      \t/src/main.go:9
      net/http.(*Server).Serve(0xc000116000, {0x7f0d38, 0xc0000a})
      \t/usr/local/go/src/net/http/server.go:3285 +0x4b4
      created by main.main in goroutine 1
      \t/src/main.go:5 +0x1d
      exit status 2
    `);
    assert.equal(lastError(trace), 'Its last error: panic: no database');
  });

  test('of Ruby, .NET and Elixir is the line with the exception', () => {
    const ruby = "config.ru:3:in 'block in <main>': undefined local variable or method 'shop' (NameError)";
    assert.equal(
      lastError([ruby, "\tfrom config.ru:1:in 'new'", "\tfrom bin/rackup:25:in '<main>'"]),
      `Its last error: ${ruby}`,
    );
    const dotnet = 'Unhandled exception. System.InvalidOperationException: no database';
    const frame = '   at Program.<Main>$(String[] args) in /src/Program.cs:line 5';
    assert.equal(lastError([dotnet, frame]), `Its last error: ${dotnet}`);
    const elixir = '** (RuntimeError) DATABASE_URL is missing';
    assert.equal(
      lastError([elixir, '    config/runtime.exs:3: (file)']),
      `Its last error: ${elixir}; its last line: config/runtime.exs:3: (file)`,
    );
  });

  test('of Rust is the panic, with the last line after it', () => {
    const trace = lines(`
      thread 'main' panicked at src/main.rs:2:5:
      no database
      note: run with \`RUST_BACKTRACE=1\` environment variable to display a backtrace
    `);
    assert.equal(
      lastError(trace),
      "Its last error: thread 'main' panicked at src/main.rs:2:5:; its last line: no database",
    );
  });
});

test('without an error the last line that contains words is used, stripped of its colours', () => {
  assert.equal(lastError(['connecting', '\u001b[31mno database\u001b[0m', '', '}']), 'Its last line: no database');
  assert.equal(lastError(['{', '}']), 'Its last line: }');
  assert.equal(lastError(['', ' ']), 'It wrote nothing.');
});

test('a line that merely mentions errors is no error', () => {
  for (const line of ['ErrorHandler is ready', 'Errors: 0', 'no Exception so far', 'error pages are on']) {
    assert.equal(lastError([line, 'no database']), 'Its last line: no database', line);
  }
});
