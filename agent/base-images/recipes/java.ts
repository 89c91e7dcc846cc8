import type { BaseRecipe } from '../recipe.ts';

/** Debian's JDK with Maven. Debian's Gradle is too old for this JDK: Gradle apps bring a wrapper. */
export const java: BaseRecipe = {
  kind: 'java',
  from: 'debian',
  packages: ['openjdk-25-jdk-headless', 'maven'],
  env: {},
  command: ['bash'],
};

export const jre: BaseRecipe = {
  kind: 'jre',
  from: 'debian',
  packages: ['openjdk-25-jre-headless'],
  env: {},
  command: ['java', '-version'],
};
