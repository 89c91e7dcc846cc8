/** Chromium, as people have it, on the app's page. */
import type { Browser as Chromium, Page } from 'playwright-core';
import { launchChromium } from '../../../harness/chromium.ts';
import { HOST } from './lab.ts';

/** Longest stay on a page, ms; it ends once each kind of request has met several versions. */
const STAY_MS = 20_000;
const MOST_PAGES = 100;

/** As source text: a browser's types differ from those of the tests. */
const SEVERAL = '[seen.fetch, seen.events, seen.socket].every((met) => Object.keys(met).length > 1)';

/** Versions that the page met with each kind of request, and the errors. */
interface Seen {
  readonly pages: readonly string[];
  readonly fetch: readonly string[];
  readonly events: readonly string[];
  readonly socket: readonly string[];
  readonly closeCodes: readonly string[];
  readonly faults: readonly string[];
}

/** As the page records it: what it met → how often. */
type Met = Record<'fetch' | 'events' | 'socket' | 'closeCodes', Record<string, number>> & { faults: string[] };

export class Browser {
  readonly #chromium: Chromium;

  static async start(): Promise<Browser> {
    return new Browser(await launchChromium(`--host-resolver-rules=MAP ${HOST} 127.0.0.1`));
  }

  private constructor(chromium: Chromium) {
    this.#chromium = chromium;
  }

  /** Stays on a page that uses everything, while another page is reloaded again and again. */
  async visit(url: string): Promise<Seen> {
    // A CA of the test's own signed the proxy's certificate.
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

/** @returns the version of each load */
async function loadAgain(page: Page, url: string): Promise<string[]> {
  const versions: string[] = [];
  for (let time = 0; new Set(versions).size < 2 && time < MOST_PAGES; time += 1) {
    const answer = await page.goto(`${url}?${time}`);
    versions.push(answer?.headers()['x-version'] ?? 'none');
  }
  return versions;
}
