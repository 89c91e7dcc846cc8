/** The console's page of a deployment. */
export const consoleUrl = (hubUrl: string, deploymentId: string): string => `${hubUrl}/deployments/${deploymentId}`;
