// hero_grid: CategoryBar, HeroItem, ItemGrid; and the search.
import { useEffect, useRef, useState } from "preact/hooks";
import type { CategoryBar, HeroItem, ItemGrid } from "../../generated/messages";
import { list } from "../../lib/message";
import { Button, Icon, Picture } from "../../lib/ui";
import type { Screen } from "../kiosk";
import { money, say, t, word } from "../strings";
import { usePlace } from "./context";

// The words that were searched for; undefined where the screen shows something else.
const wordsOf = (title: unknown): string | undefined => (typeof title === "string" ? /^Results for "(.*)"$/s.exec(title)?.[1] : undefined);

// The category that is shown; "": the popular dishes; undefined: what was searched for or recommended.
function categoryOf({ components }: Screen): string | undefined {
  for (const { type, data } of components) {
    if (type === "ItemGrid" && (wordsOf(data.title) !== undefined || data.title === "Recommended for you")) return undefined;
  }
  for (const { type, data } of components) {
    if (type === "CategoryBar") return list(data.categories).find(({ selected }) => selected)?.id ?? "";
  }
  return undefined;
}

export function Categories({ data }: { data: CategoryBar }) {
  const { kiosk, screen } = usePlace();
  const home = categoryOf(screen) === "";
  return (
    <nav class="categories" aria-label={t("browse.categories")}>
      <button type="button" class="chip" aria-current={home ? "true" : undefined} onClick={() => kiosk.touch("browse_category")}>
        <Icon name="star" />
        <span>{t("browse.home")}</span>
      </button>
      {list(data.categories).map(({ id, name, selected }) => (
        <button
          key={id}
          type="button"
          class="chip"
          aria-current={selected ? "true" : undefined}
          onClick={() => kiosk.touch("browse_category", { category: id, component: "CategoryBar" })}
        >
          <span>{word(name)}</span>
        </button>
      ))}
    </nav>
  );
}

export function Search() {
  const { kiosk, screen } = usePlace();
  const [query, setQuery] = useState("");
  const field = useRef<HTMLInputElement>(null);
  // Whoever goes on to a category has done with the words.
  const category = categoryOf(screen);
  useEffect(() => {
    if (category !== undefined) setQuery("");
  }, [category]);
  return (
    <form
      class="search"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        field.current?.blur();
        if (query.trim()) void kiosk.touch("search", { query: query.trim().slice(0, 100) });
      }}
    >
      <Icon name="search" />
      <input
        ref={field}
        type="search"
        maxLength={100}
        value={query}
        enterkeyhint="search"
        autocomplete="off"
        aria-label={t("browse.search")}
        placeholder={t("browse.search")}
        onInput={(event) => setQuery(event.currentTarget.value)}
      />
      <Button type="submit" kind="primary">
        {t("browse.search.go")}
      </Button>
    </form>
  );
}

function Tags({ tags }: { tags: string[] }) {
  const shown = tags.filter((tag) => tag !== "popular").slice(0, 2);
  if (shown.length === 0) return null;
  return (
    <span class="tags">
      {shown.map((tag) => (
        <span key={tag} class={`tag ${tag === "spicy" ? "hot" : ""}`}>
          {word(tag)}
        </span>
      ))}
    </span>
  );
}

export function Hero({ data }: { data: HeroItem }) {
  const { kiosk } = usePlace();
  return (
    <section class="hero" aria-label={t("browse.hero")}>
      <button type="button" class="hero-open" onClick={() => kiosk.touch("select_item", { item_id: data.id, component: "HeroItem" })}>
        <span class="hero-words">
          <span class="eyebrow">{t("browse.hero")}</span>
          <span class="hero-title">{data.title}</span>
          <Tags tags={data.tags} />
          <span class="price">{money(data.price, data.currency)}</span>
        </span>
        <Picture src={data.image} class="hero-picture" eager />
      </button>
    </section>
  );
}

function Card({ item }: { item: HeroItem }) {
  const { kiosk } = usePlace();
  const price = money(item.price, item.currency);
  return (
    <li class={`card${item.available ? "" : " soldout"}`}>
      <button
        type="button"
        class="card-open"
        onClick={() => kiosk.touch("select_item", { item_id: item.id, component: "ItemGrid" })}
      >
        <Picture src={item.image} />
        <span class="card-title">{item.title}</span>
        <Tags tags={item.tags} />
        <span class="price">{item.available ? price : t("item.soldout")}</span>
      </button>
      {item.available && <Button kind="primary" class="card-add" icon="plus" label={t("item.add", { name: item.title, price })} onClick={() => kiosk.cart("add", item.id, { quantity: 1 })} />}
    </li>
  );
}

export function Grid({ data }: { data: ItemGrid }) {
  const words = wordsOf(data.title);
  return (
    <section class="grid-section" aria-busy={data.loading}>
      <h2 tabIndex={-1}>{say(data.title)}</h2>
      {data.items.length === 0 && (
        <p class="empty">{data.loading ? t("browse.loading") : words === undefined ? t("browse.empty") : t("browse.nothing", { words })}</p>
      )}
      <ul class="grid">
        {data.items.map((item) => (
          <Card key={item.id} item={item} />
        ))}
      </ul>
      {data.total > data.items.length && data.items.length > 0 && <p class="more">{t("browse.more", { shown: data.items.length, total: data.total })}</p>}
    </section>
  );
}
