// Signing in by a link, whatever it opens: a button to press, or a password to choose first.

const PASSWORD = "four quiet otters paddle north";

/// Follows `link` until the navigation shows.
export async function signIn(page, server, link) {
  await page.goto(server + link);
  if (await page.locator("input[type=password]").count()) {
    for (const field of await page.locator("input[type=password]").all()) await field.fill(PASSWORD);
  }
  const go = page.locator("main form button");
  if (await go.count()) await go.first().click();
  await page.waitForSelector(".who");
}

/// Signs in to the pages of releases with the controller's token.
export async function signInByToken(page, server, token) {
  await page.goto(`${server}/ops/sign-in`);
  await page.fill("#name", "Ann");
  await page.fill("#token", token);
  await page.click("main form button");
  await page.waitForSelector(".who");
}
