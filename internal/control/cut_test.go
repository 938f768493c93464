package control_test

// partition lets gateways talk within a side only; those in no side talk to nobody. Without sides it heals.
func (f *fleet) partition(sides ...[]string) {
	if len(sides) == 0 {
		f.net.Cut(nil)
		return
	}
	together := map[[2]string]bool{}
	for _, side := range sides {
		for _, a := range side {
			for _, b := range side {
				together[[2]string{a, b}] = true
			}
		}
	}
	f.net.Cut(func(a, b string) bool { return !together[[2]string{a, b}] })
}
