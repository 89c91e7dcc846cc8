// The sample app of `npm start`: no dependencies, reports its version and commit, echoes POST bodies.
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';

const { version } = JSON.parse(readFileSync(new URL('version.json', import.meta.url), 'utf8'));
const commit = process.env.ORKESTR_COMMIT ?? 'not deployed by orkestr';
const MAX_BODY_BYTES = 65_536;

const page = `<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width">
  <title>hello, version ${version}</title>
  <style>body { font: 18px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 4rem auto; padding: 0 1rem }</style>
  <h1>Hello from version ${version}</h1>
  <p>Commit <code>${commit}</code> became this container. Push another one and reload: no request fails in between.</p>
</html>
`;

const server = createServer((request, response) => {
  response.setHeader('x-version', String(version));
  if (request.method === 'POST') {
    echo(request, response);
  } else if (request.url === '/version') {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ version, commit }));
  } else {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(page);
  }
});

function echo(request, response) {
  const parts = [];
  let bytes = 0;
  request.on('data', (part) => {
    bytes += part.length;
    if (bytes <= MAX_BODY_BYTES) parts.push(part);
  });
  request.on('end', () => {
    response.statusCode = bytes <= MAX_BODY_BYTES ? 200 : 413;
    response.end(bytes <= MAX_BODY_BYTES ? Buffer.concat(parts) : 'too large');
  });
}

server.listen(Number(process.env.PORT ?? 3000), '0.0.0.0');
process.on('SIGTERM', () => server.close(() => process.exit(0)));
