/** Apps that print the secrets they were given: as they are, in two halves, in JSON. */

const SAY = `
  const told = Object.entries(process.env).filter(([name]) => name.startsWith('CANARY_'));
  for (const [name, value] of told) {
    console.log(name + ' is ' + value);
    process.stdout.write(value.slice(0, 5));
    process.stdout.write(value.slice(5) + '\\n');
    console.log(JSON.stringify({ [name]: value }), encodeURIComponent(value));
  }
  console.log('told ' + told.length);`;

/** The build has the build secrets, the app has the variables; it exits, so that its last lines become evidence. */
export const LOUD = {
  'package.json': JSON.stringify({ name: 'loud', scripts: { build: 'node say.js', start: 'node server.js' } }),
  'say.js': SAY,
  'server.js': `${SAY}\nprocess.exit(3);`,
};

/** The same app, live and silent: a container's output is its own, and stays on the host. */
export const QUIET_SERVER = {
  'server.js': `require('node:http').createServer((_, response) => response.end('ok')).listen(process.env.PORT, '0.0.0.0');`,
};

/** A Dockerfile that mounts and prints each build secret. */
export function mounting(names: readonly string[]): Record<string, string> {
  const runs = names.map(
    (name) => `RUN --mount=type=secret,id=${name},required=true cat /run/secrets/${name}; echo; echo told`,
  );
  return {
    Dockerfile: ['FROM node:26-trixie-slim', 'COPY server.js /', ...runs, 'CMD ["node", "/server.js"]', ''].join('\n'),
    ...QUIET_SERVER,
  };
}
