/** Sites built by plain bundlers: webpack, Rspack, Rsbuild, Parcel, Ember and Expo build into `dist` by default. */
import { posix } from 'node:path';
import { firstFile } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';
import { withExtensions, withoutComments } from './framework.ts';
import type { ConfigFile, StaticOutput } from './framework.ts';
import type { PackageJson } from './package-json.ts';
import { resolved } from './vite.ts';

const CONFIGS = ['webpack.config', 'webpack.prod', 'webpack.config.prod', 'rspack.config'].flatMap(withExtensions);

/** Output of the script `build`: its folder is given by an option, the bundler's configuration or the default. */
export async function bundled(
  repository: RepositoryView,
  { scripts }: PackageJson,
): Promise<{ readonly config: ConfigFile; readonly output: StaticOutput }> {
  const config = withoutComments((await firstFile(repository, CONFIGS)) ?? { path: '', text: '' });
  const said = /\s--(?:output-path|dist-dir|output-dir)[= ]["']?([A-Za-z0-9_@.][\w./@-]*)/.exec(
    scripts['build'] ?? '',
  )?.[1];
  const folder = posix.normalize(said ?? resolved(config, 'path') ?? 'dist').replace(/(.)\/$/, '$1');
  return { config, output: { folder, singlePage: true } };
}
