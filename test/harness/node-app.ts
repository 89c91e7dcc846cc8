/** The smallest Node.js app, for tests: a manifest and a server, without dependencies. */

/**
 * Files of an app that answers each request by these statements, in which `req` and `res` are the server's.
 * @param once statements that run once, before the server listens
 */
export const nodeApp = (answer: string, once = ''): Readonly<Record<string, string>> => ({
  'package.json': JSON.stringify({ name: 'app', scripts: { start: 'node server.js' } }),
  'server.js': `${once}
require('node:http').createServer((req, res) => {
  ${answer}
}).listen(process.env.PORT, '0.0.0.0');
`,
});
