/** Chromium, as people have it, on the page of the app. */
import { chromium } from 'playwright-core';
import type { Browser as Chromium, Page } from 'playwright-core';
import { HOST } from './lab.ts';

const CHROMIUM = '/usr/bin/chromium';
/** Without these Chromium looks for its maker's servers at every start. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  `--host-resolver-rules=MAP ${HOST} 127.0.0.1`,
];
/** Longest stay on a page, ms: it ends when each means has met several versions. */
const STAY_MS = 20_000;
const MOST_PAGES = 100;

/** In words: the types of a browser are not those of the tests. */
const SEVERAL = '[seen.fetch, seen.events, seen.socket].every((met) => Object.keys(met).length > 1)';

/** Versions that the page met by each means, and what went wrong. */
interface Seen {
  readonly pages: readonly string[];
  readonly fetch: readonly string[];
  readonly events: readonly string[];
  readonly socket: readonly string[];
  readonly closeCodes: readonly string[];
  readonly faults: readonly string[];
}

/** As the page keeps it: what it met → how often. */
type Met = Record<'fetch' | 'events' | 'socket' | 'closeCodes', Record<string, number>> & { faults: string[] };

export class Browser {
  readonly #chromium: Chromium;

  static async start(): Promise<Browser> {
    return new Browser(await chromium.launch({ executablePath: CHROMIUM, args: FLAGS }));
  }

  private constructor(chromium: Chromium) {
    this.#chromium = chromium;
  }

  /** Stays on a page that uses everything, while another is loaded again and again. */
  async visit(url: string): Promise<Seen> {
    // The proxy's certificate is of a CA that is the test's own.
    const context = await this.#chromium.newContext({ ignoreHTTPSErrors: true });
    const page = await context.newPage();
    const faults: string[] = [];
    page.on('pageerror', (error) => faults.push(error.message));
    await page.goto(url);
    const [pages] = await Promise.all([
      loadAgain(await context.newPage(), url),
      page.waitForFunction(SEVERAL, undefined, { timeout: STAY_MS, polling: 50 }),
    ]);
    const met = (await page.evaluate('stop(), fetching.then(() => seen)')) as Met;
    await context.close();
    return {
      pages,
      fetch: Object.keys(met.fetch),
      events: Object.keys(met.events),
      socket: Object.keys(met.socket),
      closeCodes: Object.keys(met.closeCodes),
      faults: [...faults, ...met.faults],
    };
  }

  async close(): Promise<void> {
    await this.#chromium.close();
  }
}

/** @returns the version of each time */
async function loadAgain(page: Page, url: string): Promise<string[]> {
  const versions: string[] = [];
  for (let time = 0; new Set(versions).size < 2 && time < MOST_PAGES; time += 1) {
    const answer = await page.goto(`${url}?${time}`);
    versions.push(answer?.headers()['x-version'] ?? 'none');
  }
  return versions;
}
