import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import type { BuildPlan } from '../../protocol/steps.ts';
import { RepositoryFolder } from './test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

/** The final stage. */
const running = ({ dockerfile }: BuildPlan): string => dockerfile.text.split(/^FROM /m).at(-1) ?? '';

const BELIEVES: readonly (readonly [string, Readonly<Record<string, string>>, RegExp])[] = [
  [
    'gunicorn and uvicorn',
    { 'requirements.txt': 'flask\ngunicorn\n', 'app.py': 'app = Flask(__name__)' },
    /^ENV FORWARDED_ALLOW_IPS=\*$/m,
  ],
  [
    'Spring Boot',
    { 'pom.xml': '<artifactId>spring-boot-maven-plugin</artifactId>' },
    / SERVER_FORWARD_HEADERS_STRATEGY=framework$/m,
  ],
  ['Quarkus', { 'pom.xml': '<groupId>io.quarkus</groupId>' }, / QUARKUS_HTTP_PROXY_PROXY_ADDRESS_FORWARDING=true$/m],
  [
    'ASP.NET Core',
    { 'Shop.csproj': '<Project Sdk="Microsoft.NET.Sdk.Web"><TargetFramework>net10.0</TargetFramework></Project>' },
    / ASPNETCORE_FORWARDEDHEADERS_ENABLED=true$/m,
  ],
  [
    'SvelteKit',
    { 'package.json': '{ "dependencies": { "@sveltejs/kit": "2", "@sveltejs/adapter-node": "5" } }' },
    / PROTOCOL_HEADER=x-forwarded-proto /,
  ],
];

for (const [name, files, told] of BELIEVES) {
  test(`in a generated image ${name} trusts the proxy about whether a visitor used https`, async () => {
    assert.match(running(await repository.plan(files)), told);
  });
}

test('PHP sees HTTPS if the proxy says that the visitor used it', async () => {
  const { files } = await repository.plan({ 'index.php': '' });
  const conf = files.find(({ path }) => path === '.orkestr/apache.conf')?.text ?? '';
  assert.match(conf, /^SetEnvIf X-Forwarded-Proto "\^https\$" HTTPS=on$/m);
});
