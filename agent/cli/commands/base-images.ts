/** `orkestr-agent base-images build`. */
import { join } from 'node:path';
import type { Command } from 'commander';
import { CHOICES } from '../../base-images/choose.ts';
import { readConfig } from '../../config.ts';
import { makeEngine } from '../../docker/engine.ts';

const BASE_IMAGES_HELP = `
Examples:
  $ orkestr-agent base-images build node python
  $ orkestr-agent base-images build node:24       # in addition to the default, for apps that ask for it`;

/** Adds `base-images`. */
export function addBaseImagesCommand(cli: Command): void {
  cli
    .command('base-images')
    .description('base images built on this host')
    .command('build <kind...>')
    .description(`build the images of ${CHOICES.join(', ')}`)
    .option('--force', 'build even if nothing has changed')
    .addHelpText('after', BASE_IMAGES_HELP)
    .action(makeBaseImages);
}

async function makeBaseImages(kinds: readonly string[], { force }: { force?: true }): Promise<void> {
  const config = readConfig();
  const { buildBaseImages } = await import('../../base-images/build.ts');
  const images = await buildBaseImages(makeEngine({ socketPath: config.dockerSocket }), kinds, {
    names: config.baseImages,
    workDirectory: join(config.stateFolder, 'base-images'),
    onProgress: (line) => void process.stderr.write(`${line}\n`),
    ...(force && { force }),
  });
  process.stdout.write(`${JSON.stringify(images)}\n`);
}
