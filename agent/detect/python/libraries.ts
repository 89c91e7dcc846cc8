/** Packages of Python that are C beneath and come without it, and the Debian packages that they need. */
import type { PythonDependencies } from './dependencies.ts';

const COMPILER = ['gcc', 'libc6-dev'];

/** To build, and to run. What has wheels of its own for Linux is not here. */
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

/** The Debian packages for what is listed: to install it, and to run it. */
export function systemPackages({ names, needsGit }: Pick<PythonDependencies, 'names' | 'needsGit'>): SystemPackages {
  // psycopg[binary] has its library in it.
  const isNeeded = (name: string): boolean => names.has(name) && !names.has(`${name}-binary`);
  const known = Object.entries(LIBRARIES).filter(([name]) => isNeeded(name));
  return {
    build: [...new Set([...known.flatMap(([, [build]]) => build), ...(needsGit ? ['git'] : [])])],
    run: [...new Set(known.flatMap(([, [, run]]) => run))],
  };
}

/** A warning when OpenCV brings windows that no server opens. */
export function headlessWarning(names: ReadonlySet<string>): string[] {
  const found = ['opencv-python', 'opencv-contrib-python'].find((name) => names.has(name));
  if (found === undefined) return [];
  return [`${found} needs libraries of a screen, which are installed for it: ${found}-headless does without them.`];
}
