/** Python packages that wrap C code without bundling it, and the Debian packages that they need. */
import type { PythonDependencies } from './dependencies.ts';

const COMPILER = ['gcc', 'libc6-dev'];

/** To build, and to run. Excludes packages with self-contained Linux wheels. */
const LIBRARIES: Readonly<Record<string, readonly [build: readonly string[], run: readonly string[]]>> = {
  psycopg2: [[...COMPILER, 'libpq-dev'], ['libpq5']],
  psycopg: [[], ['libpq5']],
  'psycopg-c': [[...COMPILER, 'libpq-dev'], ['libpq5']],
  mysqlclient: [[...COMPILER, 'default-libmysqlclient-dev', 'pkg-config'], ['libmariadb3']],
  uwsgi: [COMPILER, []],
  pycairo: [[...COMPILER, 'libcairo2-dev', 'pkg-config'], ['libcairo2']],
  cairosvg: [[], ['libcairo2']],
  weasyprint: [[], ['libpango-1.0-0', 'libpangoft2-1.0-0']],
  'opencv-python': [[], ['libgl1', 'libglib2.0-0']],
  'opencv-contrib-python': [[], ['libgl1', 'libglib2.0-0']],
  'python-magic': [[], ['libmagic1']],
  pyzbar: [[], ['libzbar0']],
  pdf2image: [[], ['poppler-utils']],
  pytesseract: [[], ['tesseract-ocr']],
};

export interface SystemPackages {
  readonly build: readonly string[];
  readonly run: readonly string[];
}

/** Debian packages for the listed dependencies: to install, and to run. */
export function systemPackages({ names, needsGit }: Pick<PythonDependencies, 'names' | 'needsGit'>): SystemPackages {
  // psycopg[binary] bundles its library.
  const isNeeded = (name: string): boolean => names.has(name) && !names.has(`${name}-binary`);
  const known = Object.entries(LIBRARIES).filter(([name]) => isNeeded(name));
  return {
    build: [...new Set([...known.flatMap(([, [build]]) => build), ...(needsGit ? ['git'] : [])])],
    run: [...new Set(known.flatMap(([, [, run]]) => run))],
  };
}

/** A warning if OpenCV includes GUI support, which is useless on a server. */
export function headlessWarning(names: ReadonlySet<string>): string[] {
  const found = ['opencv-python', 'opencv-contrib-python'].find((name) => names.has(name));
  if (found === undefined) return [];
  return [
    `${found} needs libraries for a screen, so orkestr installs them. Use ${found}-headless, which does not need them.`,
  ];
}
