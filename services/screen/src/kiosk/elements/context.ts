// What every element may use.
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Kiosk, Screen } from "../kiosk";
import type { Voice } from "../voice";

export interface Place {
  kiosk: Kiosk;
  voice: Voice;
  screen: Screen;
}

export const PlaceContext = createContext<Place | undefined>(undefined);

export function usePlace(): Place {
  const place = useContext(PlaceContext);
  if (!place) throw new Error("an element stands outside of a screen");
  return place;
}
