/** For tests: real receivers, over HTTP and SMTP, that record what they get. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';

interface GotRequest {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface TestReceiver {
  readonly url: string;
  readonly got: GotRequest[];
  /** HTTP status of further responses; 0: none, the connection stays open. */
  answer: number;
}

interface Keys {
  readonly cert: string;
  readonly key: string;
}

/** Stops with the test. @param keys given: serves over TLS */
export async function startReceiver(t: TestContext, keys?: Keys): Promise<TestReceiver> {
  const got: GotRequest[] = [];
  const server = keys === undefined ? createServer() : createTlsServer(keys);
  const receiver = { url: '', got, answer: 200 };
  server.on('request', (request, response) => {
    void text(request).then((body) => {
      got.push({ path: request.url ?? '', headers: request.headers, body });
      if (receiver.answer === 0) return;
      response.writeHead(receiver.answer, { location: '/elsewhere' }).end('ok');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  receiver.url = `${keys === undefined ? 'http' : 'https'}://127.0.0.1:${port}/hook/secret-path`;
  return receiver;
}

interface TestMailbox {
  readonly port: number;
  /** Complete messages, unmodified. */
  readonly got: string[];
  readonly logins: string[];
}

/** A mail server that accepts the password `right`, and mail for any recipient except nobody@…; stops with the test. */
export async function startMailServer(t: TestContext, options: SMTPServerOptions = {}): Promise<TestMailbox> {
  const got: string[] = [];
  const logins: string[] = [];
  const server = new SMTPServer({
    authOptional: true,
    onAuth({ username = '', password }, { secure }, done) {
      logins.push(`${username} ${secure ? 'by TLS' : 'in plain'}`);
      if (password === 'right') done(null, { user: username });
      else done(Object.assign(new Error('Authentication credentials invalid'), { responseCode: 535 }));
    },
    onRcptTo({ address }, _session, done) {
      if (address.startsWith('nobody@')) done(Object.assign(new Error('No such mailbox'), { responseCode: 550 }));
      else done();
    },
    onData(stream, _session, done) {
      const parts: Buffer[] = [];
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.on('end', () => {
        got.push(Buffer.concat(parts).toString('utf8'));
        done();
      });
    },
    ...options,
  });
  server.on('error', () => undefined); // clients that disconnect midway are part of some tests
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  t.after(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return { port: (server.server.address() as AddressInfo).port, got, logins };
}
