// What is hard to use on a page as it stands, one line each.
import fs from "node:fs";
import { createRequire } from "node:module";

const AXE = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

// Targets that are smaller than 48 px, of what can be touched now; whether the page is wider than its screen.
const small = () => {
  // A tick box is touched by its whole line.
  const found = [...document.querySelectorAll("button, a[href], input, label.choice, select, summary")]
    .filter((element) => element.checkVisibility() && !element.closest("[inert]") && !(element.type === "checkbox" && element.closest("label.choice")))
    .map((element) => [element, element.getBoundingClientRect()])
    .filter(([, { width, height }]) => width > 0 && (width < 47.5 || height < 47.5))
    .map(([element, { width, height }]) => `${element.className || element.tagName} "${element.textContent}" is ${Math.round(width)} x ${Math.round(height)}`);
  if (document.documentElement.scrollWidth > innerWidth) found.push("is wider than the screen");
  return found;
};

export async function problems(page) {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(AXE);
  const look = async () => {
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    return violations.flatMap(({ id, impact, nodes }) => nodes.map(({ html, failureSummary }) => `${impact} ${id}: ${html.slice(0, 160)} ${failureSummary.split("\n")[1]}`));
  };
  const found = await look();
  // axe reads an element's colours one after the other, and something new may come between: what is wrong is wrong twice.
  const twice = found.length > 0 ? (await look()).filter((problem) => found.includes(problem)) : [];
  return [...twice, ...(await page.evaluate(small))];
}
