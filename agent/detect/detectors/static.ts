/** Detector: a folder of finished files with an index.html. */
import type { Detector } from '../detector.ts';
import type { RepositoryView } from '../repository.ts';
import { STATIC_PORT, writeStatic } from '../dockerfiles/static.ts';

/** Common folders of finished sites, the likeliest first. */
const FOLDERS = ['.', 'public', 'dist', 'build', 'site', '_site', 'docs'];

export const staticSite: Detector = {
  name: 'static',
  frameworks: ['Static site'],
  // Most repositories of any kind contain an index.html.
  best: 'guess',

  async detect({ repository, stated }) {
    const folders = stated.outputDirectory === undefined ? FOLDERS : [stated.outputDirectory.value];
    for (const folder of folders) {
      const path = folder === '.' ? 'index.html' : `${folder}/index.html`;
      if (!(await repository.has(path))) continue;
      const source = stated.outputDirectory === undefined ? await sourceIn(repository, path) : null;
      if (source !== null) return { missed: `${path} loads ${source}, which a build must produce first` };
      return {
        confidence: stated.outputDirectory === undefined ? 'guess' : 'stated',
        facts: { framework: 'Static site', runtime: 'static', port: STATIC_PORT, outputDirectory: folder },
        evidence: [
          { subject: 'framework', value: 'Static site', from: path },
          { subject: 'output', value: folder, from: path },
          { subject: 'port', value: String(STATIC_PORT), from: 'generated nginx configuration' },
        ],
        warnings: [],
        dockerfile: {
          origin: 'generated',
          write: ({ facts: { port }, surroundings: { baseImages } }) =>
            writeStatic({
              base: baseImages.static,
              port: port ?? STATIC_PORT,
              source: { stage: null, folder },
              singlePage: stated.singlePage?.value ?? false,
            }),
        },
      };
    }
    return { missed: `no index.html in ${folders.join(', ')}` };
  },
};

/** Enough of a page to find its scripts. */
const HEAD_BYTES = 65_536;

/** A script that no browser can run, or that is in a bundler's source folder: then the page needs a build. */
async function sourceIn(repository: RepositoryView, path: string): Promise<string | null> {
  const page = (await repository.head(path, HEAD_BYTES)) ?? '';
  const scripts = [...page.matchAll(/<script\b[^>]*\bsrc=["']?([^"'\s>]{1,200})/g)].map(([, src = '']) => src);
  return scripts.find((src) => /^\/src\/|^(?:\.?\/)?[^:?#]*\.(?:tsx?|jsx|vue|svelte)$/.test(src)) ?? null;
}
