import { useSignal } from "@preact/signals";
import { Button } from "../../lib/ui";
import { type Shift } from "../desk";
import { money, t } from "../strings";

export function MenuPage({ shift: { menu } }: { shift: Shift }) {
  const find = useSignal("");
  const sections = menu.sections.value;
  if (!sections) return <p class="hint">{t("loading")}</p>;
  const words = find.value.trim().toLowerCase();
  const shown = sections.map((section) => ({ ...section, dishes: section.dishes.filter(({ name, id }) => words === "" || name.toLowerCase().includes(words) || String(id) === words) })).filter(({ dishes }) => dishes.length > 0);
  const all = sections.flatMap(({ dishes }) => dishes);
  return (
    <>
      <div class="filters">
        <label class="field">
          {t("menu.find")}
          <input type="search" value={find.value} onInput={(event) => (find.value = event.currentTarget.value)} />
        </label>
        <p class="hint" role="status">{t("menu.count", { out: all.filter(({ available }) => !available).length, all: all.length })}</p>
      </div>
      <p role="alert" class="problem">{menu.problem.value}</p>
      {shown.length === 0 && <p class="hint">{t("menu.none")}</p>}
      {shown.map((section) => (
        <section key={section.id} class="panel">
          <h2>{section.name}</h2>
          <div class="scroll" tabIndex={0} role="region" aria-label={section.name}>
            <table class="dishes">
              <thead>
                <tr>
                  <th scope="col">{t("menu.dish")}</th>
                  <th scope="col" class="number">{t("menu.price")}</th>
                  <th scope="col">{t("menu.stock")}</th>
                  <td />
                </tr>
              </thead>
              <tbody>
                {section.dishes.map((dish) => (
                  <tr key={dish.id} data-dish={dish.id}>
                    <th scope="row">{dish.name} <small>#{dish.id}</small></th>
                    <td class="number">{money(dish.price, menu.currency.value)}</td>
                    <td><span class={`health ${dish.available ? "serving" : "silent"}`}>{t(dish.available ? "menu.in" : "menu.out")}</span></td>
                    <td class="number">
                      <Button
                        class="small"
                        kind={dish.available ? "danger" : "plain"}
                        disabled={menu.changing.value.has(dish.id)}
                        aria-label={t(dish.available ? "menu.off.of" : "menu.back.of", { name: dish.name })}
                        onClick={() => void menu.setAvailable(dish, !dish.available)}
                      >
                        {t(dish.available ? "menu.off" : "menu.back")}
                      </Button>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
      ))}
    </>
  );
}
