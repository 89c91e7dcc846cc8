import type { BaseRecipe } from '../recipe.ts';

/** The JDK of Debian with Maven. Its Gradle is too old for this JDK: such apps bring their wrapper. */
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
