import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import type { BuildPlan } from '../../../protocol/steps.ts';
import { RepositoryFolder } from '../test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

const project = (target: string): string =>
  `<Project Sdk="Microsoft.NET.Sdk.Web"><PropertyGroup>${target}</PropertyGroup></Project>`;
const net = (version: string): string => `<TargetFramework>${version}</TargetFramework>`;
const plan = (target: string, files: Record<string, string> = {}, settings = {}): Promise<BuildPlan> =>
  repository.plan({ 'Shop.csproj': project(target), ...files }, settings);
const global = (version: string, more = {}): Record<string, string> => ({
  'global.json': JSON.stringify({ sdk: { version }, ...more }),
});

test('a .NET line that Ubuntu packages builds and runs the app', async () => {
  for (const line of ['8.0', '10.0']) {
    const made = await plan(net(`net${line}`));
    assert.deepEqual([made.version, made.warnings], [line, []]);
    assert.doesNotMatch(made.dockerfile.text, /ROLL_FORWARD/);
  }
});

test('any other line is built and run with the next LTS, and the plan says so', async () => {
  const lines: readonly (readonly [string, string])[] = [
    ['net9.0', '10.0'],
    ['net7.0', '8.0'],
    ['net6.0', '8.0'],
    ['netcoreapp3.1', '8.0'],
  ];
  for (const [written, line] of lines) {
    const made = await plan(net(written));
    assert.equal(made.version, line, written);
    assert.match(
      made.dockerfile.text,
      new RegExp(`dotnet-sdk-${line}[^]*aspnetcore-runtime-${line}[^]*DOTNET_ROLL_FORWARD=Major`),
    );
    assert.match(made.warnings.join(), /Ubuntu packages only 10 and 8/);
  }
});

test('a line newer than the packaged ones is an error before the build', async () => {
  await assert.rejects(plan(net('net12.0')), /Shop\.csproj asks for \.NET net12\.0, but Ubuntu packages only 10 and 8/);
  await assert.rejects(plan(net('net8.0'), {}, { runtimeVersion: '11' }), /environment setting asks for \.NET 11/);
});

test('an SDK in global.json that is not packaged is removed, and the rest of the file stays', async () => {
  const made = await plan(net('net8.0'), global('8.0.404', { 'msbuild-sdks': { A: '1' } }));
  assert.match(made.dockerfile.text, /^COPY \. \.\nCOPY \.orkestr\/global\.json global\.json$/m);
  const text = made.files.find(({ path }) => path === '.orkestr/global.json')?.text ?? '';
  assert.deepEqual(JSON.parse(text), { 'msbuild-sdks': { A: '1' } });
  assert.match(made.warnings.join(), /asks for the SDK 8\.0\.404, but Ubuntu packages only 8\.0\.1xx/);
  assert.equal((await plan(net('net9.0'), global('9.0.100'))).version, '10.0');
  assert.equal((await plan(net('net10.0'), global('8.0.110'))).version, '10.0');
  const packaged = await plan(net('net8.0'), global('8.0.110'));
  assert.doesNotMatch(packaged.dockerfile.text, /global\.json/);
});

test('the newest of several frameworks is published, even if Directory.Build.props names them', async () => {
  const several = '<TargetFrameworks>net8.0;net10.0;netstandard2.0</TargetFrameworks>';
  assert.match((await plan(several)).buildCommand ?? '', / -f net10\.0 -o \/out$/);
  const props = await plan('', { 'Directory.Build.props': net('net8.0') });
  assert.equal(props.version, '8.0');
  assert.match(props.dockerfile.text, /^COPY Shop\.csproj Directory\.Build\.props \.\/$/m);
});

test('a page that runs in the browser is published as files, unless the app has a server', async () => {
  const client = project(net('net10.0')).replace('Sdk.Web', 'Sdk.BlazorWebAssembly');
  const made = await repository.plan({ 'Page.csproj': client });
  assert.deepEqual([made.framework, made.runtime, made.startCommand], ['Blazor WebAssembly', 'static', undefined]);
  assert.match(
    made.dockerfile.text,
    /^RUN .*dotnet publish Page\.csproj .* -o \/out\n[^]*^COPY --from=build .* \/out\/wwwroot\/ /m,
  );
  assert.match(made.files.find(({ path }) => path.endsWith('nginx.conf'))?.text ?? '', /\$uri\/ \/index\.html;/);
  const below = await repository.plan({ 'Page/Page.csproj': client });
  assert.equal(below.buildCommand, 'dotnet publish Page/Page.csproj -c Release -o /out');
  const hosted = await repository.plan({ 'Page/Page.csproj': client, 'Server/Server.csproj': project(net('net10.0')) });
  assert.deepEqual([hosted.framework, hosted.startCommand?.split(' ')[1]], ['ASP.NET Core', 'Server.dll']);
});
