/** The app of the bench. */
import { runApp } from './run.ts';

runApp(() => ({}));
