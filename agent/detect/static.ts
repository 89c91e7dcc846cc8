/** Detector: a folder of finished files with an index.html. */
import type { Detector } from './detector.ts';
import { STATIC_PORT, writeStatic } from './dockerfiles/static.ts';

/** Where finished sites lie, the likeliest first. */
const FOLDERS = ['.', 'public', 'dist', 'build', 'site', '_site', 'docs'];

export const staticSite: Detector = {
  name: 'static',
  // An index.html lies in most repositories of all kinds: it is no hint that another detector was wrong.
  markers: [],

  async detect({ repository }) {
    for (const folder of FOLDERS) {
      const path = folder === '.' ? 'index.html' : `${folder}/index.html`;
      if (!(await repository.has(path))) continue;
      return {
        facts: { framework: 'Static site', runtime: 'static', port: STATIC_PORT },
        evidence: [
          { subject: 'framework', value: 'Static site', from: path },
          { subject: 'output', value: folder, from: path },
          { subject: 'port', value: String(STATIC_PORT), from: 'generated nginx configuration' },
        ],
        warnings: [],
        dockerfile: {
          origin: 'generated',
          write: ({ port }, { baseImages }) =>
            writeStatic({ base: baseImages.static, port, source: { stage: null, folder }, singlePage: false }),
        },
      };
    }
    return { missed: `no index.html in ${FOLDERS.join(', ')}` };
  },
};
