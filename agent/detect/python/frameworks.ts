/** Python frameworks whose app is an object in a module; and the description of any app's start. */

export interface Framework {
  readonly name: string;
  readonly package: string;
  readonly port: number;
  /** The class of the app instance: `app = Flask(__name__)`. */
  readonly constructor: string;
  readonly kind: 'wsgi' | 'asgi';
}

export const FRAMEWORKS: readonly Framework[] = [
  { name: 'FastAPI', package: 'fastapi', port: 8000, constructor: 'FastAPI', kind: 'asgi' },
  { name: 'Flask', package: 'flask', port: 5000, constructor: 'Flask', kind: 'wsgi' },
  { name: 'Starlette', package: 'starlette', port: 8000, constructor: 'Starlette', kind: 'asgi' },
];

export interface PythonStart {
  readonly framework: string;
  readonly frameworkFrom: string;
  /** The framework's default port. */
  readonly port?: number;
  readonly command: string;
  readonly from: string;
  /** The settings name the command, and no file of the repository does. */
  readonly isStated?: boolean;
  readonly warning?: string;
}

export const NO_SERVER = 'is not listed in your dependencies, so the development server serves the app. Add it.';
